-- begin: the start of every script: the time, the settings of the queue and the scheduler record.
--- @include "access"
--- @include "formats"

-- The queue's own clock. It follows the server's, but never goes back: if the server's clock is set back, the
-- queue's continues from the last recorded time, and stays ahead of the server's by the difference. So leases, delays,
-- rates and retention times keep their length when the server's clock is set back, and no stored time moves further
-- into the future. All stored times are on the queue's clock, except moments chosen by users: the runs of schedules,
-- and `at` of a task. Those, and all answers, are on the server's clock.
local now, now_ms              -- the queue's time, in microseconds and milliseconds
local wall_ms, shift_ms = 0, 0 -- the server's time, and how far the queue's is ahead of it
local set_back                 -- whether the server's clock was set back since the last recorded time

local CENTURY = 3155760000000000 -- in microseconds: a larger shift is corrupt, no clock is set back so far

-- How far the queue's clock is ahead, in milliseconds; nil if the value is impossible.
local function clock_shift(text) return between(text, 0, CENTURY / 1000) and whole(text) end

-- `shift` and `seen` are fields of the scheduler record: how far the queue's clock is ahead, and its last recorded
-- time.
local function read_clock(server_us, shift, seen)
  shift_ms = shift
  local back = seen - server_us - shift_ms * 1000
  set_back = back > 0 and back <= CENTURY
  if set_back then shift_ms = shift_ms + math.ceil(back / 1000) end
  now = server_us + shift_ms * 1000
  now_ms = math.floor(now / 1000)
  wall_ms = now_ms - shift_ms
end

-- The scheduler record: one string that every script reads at its start, and that a script which changes tasks
-- writes once at its end.
--   V     virtual time in microseconds of service per weight: the start tag of the last service from the ready ring
--   aseq  sequence of arrivals in the fresh ring     est0  average cost of a task in microseconds, for unknown users
--   bs    pops in a row that skipped the ready ring     pop_at  when a worker last called pop, in milliseconds
--   cg    pops in a row on CRITICAL credit that skipped a fresh user
--   queued  tasks in queues now     pushed, finished  since the queue was created     seen, shift  see read_clock
--   clk   the last time of entry that a task got, in microseconds: each is later than the one before
--   critical  whether the critical ring may have members     fresh_n  members of the fresh ring
--   next_at, owe_min, kept_at  see bounds
local g, unreadable_globals

-- A value that no script can have written counts as that of a new queue. `answer` is that of GET; an error is one of a
-- key of the wrong type.
local function parse_globals(answer)
  local text = type(answer) == "string" and answer or ""
  local sound = #text >= GLOBALS_SIZE and string.byte(text) == GLOBALS_VERSION
  unreadable_globals = answer and not sound and answer
  if not sound then
    g = {
      bs = 0, cg = 0, V = 0, aseq = 0, est0 = 1000, pop_at = 0, queued = 0, pushed = 0, finished = 0, seen = 0,
      shift = 0, clk = 0, next_at = 0, owe_min = -TOP, fresh_n = 0, kept_at = 0, critical = true, tail = "",
    }
    return
  end
  local _, flags, bs, cg, V, aseq, est0, pop_at, queued, pushed, finished, seen, shift, clk, next_at, owe_min, fresh_n,
    kept_at = struct.unpack(GLOBALS, text)
  g = {
    bs = bs, cg = cg, V = between(V, 0, TOP / 2) or 0, aseq = whole(aseq) or 0, est0 = between(est0, 1, TOP) or 1000,
    pop_at = whole(pop_at) or 0, queued = whole(queued) or 0, pushed = whole(pushed) or 0,
    finished = whole(finished) or 0, seen = whole(seen) or 0, shift = clock_shift(shift) or 0,
    clk = between(whole(clk), 0, TOP / 2) or 0, next_at = between(next_at, 0, TOP) or 0,
    owe_min = between(owe_min, -TOP, TOP) or -TOP, fresh_n = whole(fresh_n) or 0,
    kept_at = between(kept_at, 0, TOP) or 0, critical = flags % 16 >= 8,
    tail = string.sub(text, GLOBALS_SIZE + 1), -- what a later release has appended
  }
end

local format = string.format

local counted, limited, backlog -- cost mode: one per task instead of its time; whether limits of users were ever set: 1
                                -- of single users, 2 defaults, too; most waiting tasks of the queue
local born -- when the queue was created; see create
local tested, needs -- whether its time is that of a test; words for what not every release understands
local KNOWN_NEEDS = {} -- the words that this release understands

-- A whole number below 2^53 as text. tostring and .. would lose digits.
local function int(number) return format("%d", number) end

-- Any number as text that is parsed back to the same number.
local function exact(number)
  if number % 1 == 0 and number < 2 ^ 53 then return format("%d", number) end
  return format("%.17g", number)
end

-- The lowest score in an index.
local function first_score(index)
  return tonumber(call("ZRANGE", P .. index, 0, 0, "WITHSCORES")[2]) or math.huge
end

-- The number of running tasks.
local function running_tasks() return call("ZCOUNT", P .. "running", "-inf", "(inf") end

-- The script has changed a setting of the queue.
local function note_counted(is_counted) counted = is_counted end
local function note_backlog(most) backlog = most end
local function note_limited(stored) limited = whole(stored) end

-- The start of every script: reads settings, record and clock, or returns the answer that refuses the call. Keep the
-- schema equal to call.py.
local function begin_reading()
  local meta = call("HMGET", KEYS[1], "schema", "test", "cost_mode", "limits", "backlog", "born", "needs")
  if meta[1] and meta[1] ~= "1" then return {-6, meta[1]} end
  for word in string.gmatch(meta[7] or "", "%S+") do
    if not KNOWN_NEEDS[word] then return {-6, meta[1] or "1", word} end
  end
  counted, limited, backlog, born = meta[3] == "count", whole(meta[4]), whole(meta[5]), whole(meta[6])
  tested, needs = meta[2] == "1", meta[7]
  local fixed = tested and whole(call("GET", P .. "now"))
  local time = not fixed and call("TIME")
  local server_us = fixed or time[1] * 1000000 + time[2]
  parse_globals(redis.pcall("GET", P .. "g"))
  read_clock(server_us, g.shift, g.seen)
end

-- What quick paths know of the settings. They leave a queue to the rest of the scripts that was not created, that needs
-- something special, or whose users ever had default limits.
local function flags()
  local special = needs or not born or limited == 2
  return (tested and 1 or 0) + (counted and 2 or 0) + ((backlog or 0) > 0 and 4 or 0) + (g.critical and 8 or 0)
    + (limited and 16 or 0) + (special and 32 or 0)
end

-- Writes the scheduler record, with the time of this call and the flags that follow from the settings.
local function save_globals()
  if unreadable_globals then set_aside(P .. "g") end
  g.seen, g.shift = now, shift_ms
  call("SET", P .. "g", struct.pack(GLOBALS, GLOBALS_VERSION, flags(), g.bs, g.cg, g.V, g.aseq, g.est0, g.pop_at,
    g.queued, g.pushed, g.finished, g.seen, g.shift, g.clk, g.next_at, g.owe_min, g.fresh_n, g.kept_at) .. g.tail)
end

-- The start of every script that writes. If the server's clock was set back, it records this even if the call
-- changes nothing else, so that time continues from there.
local function begin()
  local refused = begin_reading()
  if set_back and not refused then save_globals() end
  return refused
end

-- Creates the queue if it does not exist. Its creation time distinguishes it from an earlier queue of the same
-- name that was lost with the server's data.
local function create()
  if born then return end
  born = now
  call("HSET", KEYS[1], "schema", "1", "born", int(born))
end
