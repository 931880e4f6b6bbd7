#!lua
--[[ push: stores tasks and makes them runnable, or remembers when they will be.
  Guarantee: all tasks of the call are stored, or none. Sent again, it answers what became of them and changes nothing.
  KEYS[1] meta
  ARGV[1] message_limit: bytes of the largest message
  ARGV[2..] for each task: id, user, priority, due ('' now, '+N' in N ms, 'N' at N ms), timeout_ms,
    cost_us ('' unknown), dedup ('' none, else the hash of the key), dedup_ttl_ms (0 until terminal), digest, message
  Returns {1, code, state, id, ...} with three places a task: {1, state, id} stored, {2, state, id} stored before,
    {3, state, id} deduplicated (state '': that task is forgotten) | {-3, id} conflict | {-4, id, bytes} too large
    | {-7, user, most, waiting, pause_ms} too many wait, of the user or ('') of the queue | {-5, what} | {-6, schema}
  Moves: NEW -> QUEUED, NEW -> SCHEDULED ]]
--- @include "begin"
--- @include "arguments"
--- @include "counts"
--- @include "batch"
--- @include "globals"
--- @include "user"
--- @include "sync"
--- @include "enter"
--- @include "wake"
--- @include "delay"
--- @include "commit"
--- @include "task"
--- @include "read_ahead"
--- @include "backlog"
local STRIDE = 10
local TIMEOUT = "3600000" -- milliseconds; the default of task.py, which a record leaves out
local MOST_TASKS, MOST_BYTES, MOST_MESSAGE = 1000, 4194304, 1048576 -- push.py has the same

local refused = begin()
if refused then return refused end
local limit = number_at(1)
if not limit or limit > MOST_MESSAGE or not grouped(1, STRIDE) or #ARGV > 1 + MOST_TASKS * STRIDE then
  return bad_arguments("push takes a limit up to 1 MiB, and 10 arguments for each of 1 to 1000 tasks")
end

local function due_time(text)
  if text == "" then return nil end
  local relative, digits = string.match(text, "^(%+?)(%d+)$")
  if not digits or #digits > 15 then return nil, true end
  local due_ms = tonumber(digits) + (relative == "+" and now_ms or 0)
  return due_ms > now_ms and due_ms or nil
end

-- Everything is looked at before the first write: Redis does not roll a script back.
read_ahead(1, STRIDE, 2)
local reply, fresh, here, keyed, total = {1}, {}, {}, {}, 0
for first = 2, #ARGV, STRIDE do
  local id, priority, digest = ARGV[first], number_at(first + 2), ARGV[first + 8]
  local due_ms, malformed = due_time(ARGV[first + 3])
  if malformed or not id_at(first) or not id_at(first + 1) or not priority or priority < 1 or priority > 6
    or not number_at(first + 4) or (ARGV[first + 5] ~= "" and not number_at(first + 5)) or not number_at(first + 7) then
    return bad_arguments("a task of the push is malformed: " .. id)
  end
  local bytes = #ARGV[first + 9]
  if bytes > limit then return {-4, id, bytes} end
  total = total + bytes
  if total > MOST_BYTES then return bad_arguments("the messages of one push have more than 4 MiB") end
  local known = here[id] or record(P .. "t:" .. id) or {}
  local dedup = ARGV[first + 6]
  local holder = dedup ~= "" and not known.state and (keyed[dedup] or call("GET", P .. "dedup:" .. dedup))
  if known.state then
    if known.digest ~= digest then return {-3, id} end
    reply[#reply + 1], reply[#reply + 2], reply[#reply + 3] = 2, known.state, id
  elseif holder then
    local state = (here[holder] or task(holder).r).state
    reply[#reply + 1], reply[#reply + 2], reply[#reply + 3] = 3, state or "", holder
  else
    local state = due_ms and "SCHEDULED" or "QUEUED"
    here[id] = {state = state, digest = digest}
    if dedup ~= "" then keyed[dedup] = id end
    fresh[#fresh + 1] = {first = first, due_ms = due_ms, state = state, priority = priority}
    reply[#reply + 1], reply[#reply + 2], reply[#reply + 3] = 1, state, id
  end
end
if #fresh == 0 then return reply end

load_globals()
local full = over_backlog(fresh)
if full then return full end
call("HSETNX", KEYS[1], "schema", "1")
for _, entry in ipairs(fresh) do
  local first = entry.first
  local id, dedup, dedup_ttl_ms = ARGV[first], ARGV[first + 6], number_at(first + 7)
  store_key(P .. "m:" .. id, ARGV[first + 9])
  local t = task(id)
  t.r = {
    state = entry.state, user = ARGV[first + 1], digest = ARGV[first + 8], pushed_at = now_ms,
    prio = entry.priority ~= NORMAL and entry.priority or nil,
    timeout = ARGV[first + 4] ~= TIMEOUT and number_at(first + 4) or nil, cost = number_at(first + 5),
  }
  will_write(t)
  if dedup ~= "" and dedup_ttl_ms > 0 then
    call("SET", P .. "dedup:" .. dedup, id, "PX", int(dedup_ttl_ms))
  elseif dedup ~= "" then
    call("SET", P .. "dedup:" .. dedup, id)
    t.r.dedup = dedup
  end
  if entry.due_ms then
    delay(id, ARGV[first + 1], entry.due_ms)
  else
    local u = user(ARGV[first + 1])
    enter(u, id, entry.priority, arrival(u))
  end
end
count("pushed", #fresh)
commit()
return reply
