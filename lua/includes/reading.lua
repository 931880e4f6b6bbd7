-- reading: answers about tasks, users and schedules.
--- @include "access"
--- @include "begin"
--- @include "user_record"
--- @include "queues"
--- @include "schedule_record"

-- Adds the fields of a record to an answer: alternating names and values, numbers as lossless text, times
-- on the server's clock, when a task was pushed in milliseconds; and when its attempt began.
local SCALES = {
  pushed_at = 1, ended_at = 1, due = 1, last = 1, since = 1, root_at = 1000, tat = 1000,
}

local function tell_record(reply, r)
  local fence = r and r.token and whole(string.match(r.token, "^%d+"))
  if fence then reply[#reply + 1], reply[#reply + 2] = "started_at", int(math.floor(fence / 1000) - shift_ms) end
  for name, value in pairs(r or {}) do
    if name == "pushed_at" then value = math.floor(value / 1000) end
    if type(value) == "number" then value = exact(value - (SCALES[name] or 0) * shift_ms) end
    if value == true then value = "1" end
    if name == "digest" then
      value = string.gsub(value, ".", function(byte) return format("%02x", string.byte(byte)) end)
    end
    -- A false value is absent, and other types are not used.
    if type(value) == "string" and name ~= "result" then reply[#reply + 1], reply[#reply + 2] = name, value end
  end
end

-- Adds schedules to an answer, in the thirteen places that calls/schedules.py reads. `from` is not
-- later than now, even if the server's clock was set back. Returns how many it read: `most`, or fewer if they exceed 4
-- MiB, but at least one. A schedule whose record cannot be read has no definition.
local TOLD_BYTES = 4194304

local function maybe(number) return number and int(number) or "" end

local function tell_schedules(reply, ids, most)
  local head, total = #reply, 0
  for place = 1, math.min(#ids, most) do
    local r, size = schedule_record(P .. "schedule:" .. ids[place]), #reply
    if r then
      if not readable_schedule(r) then r = {rev = 0} end
      local def, misses = r.def or "", r.misses or ""
      total = total + #def + #misses
      if total > TOLD_BYTES and size > head then return place - 1 end
      reply[size + 1], reply[size + 2], reply[size + 3], reply[size + 4] = ids[place], def, r.rev, r.on and 1 or 0
      local from = r.from and math.min(r.from, wall_ms)
      reply[size + 5], reply[size + 6], reply[size + 7] = maybe(r.next), maybe(from), maybe(r.forget)
      reply[size + 8], reply[size + 9], reply[size + 10] = maybe(r.last), r.fired or 0, r.missed or 0
      reply[size + 11], reply[size + 12], reply[size + 13] = r.skipped or 0, misses, r.did or ""
    end
  end
  return math.min(#ids, most)
end

-- Adds the state of a user to an answer, as alternating names and values; absent ones are left out.
local LOOKED_OVER = 100 -- tombstones at the front of a list

local function about_user(reply, id)
  local function tell(name, value)
    if value then reply[#reply + 1], reply[#reply + 2] = name, value end
  end
  tell_record(reply, user_record(id))
  for prefix, owner in pairs({own_ = id, default_ = ""}) do
    local set = settings(owner)
    for index, name in ipairs(SETTINGS) do tell(prefix .. name, set[index] and exact(set[index])) end
  end
  local queued, critical = waiting_of(id, user_record(id))
  tell("waiting", queued)
  tell("waiting_critical", critical)
  tell("scheduled", call("ZCARD", P .. "s:" .. id))
  tell("ahead_ready", call("ZRANK", P .. "ready", id))
  tell("ahead_fresh", call("ZRANK", P .. "fresh", id))
  local timer = between(call("ZSCORE", P .. "timers", id), 0, TOP)
  tell("timer", timer and exact(timer - shift_ms * 1000))
  for number, first in ipairs({
    call("LRANGE", P .. "n:" .. id, 0, LOOKED_OVER), call("ZRANGE", P .. "z:" .. id, 0, 0),
    call("ZRANGE", P .. "c:" .. id, 0, 0),
  }) do
    local place = 1
    while first[place] and is_tombstone(first[place]) do place = place + 1 end
    local pushed_at = first[place] and entered_at(first[place])
    if pushed_at then tell("head_" .. number, int(math.floor(pushed_at / 1000) - shift_ms)) end
  end
  tell("V", exact(g.V))
  tell("pop_at", g.pop_at > 0 and int(g.pop_at - shift_ms))
  tell("running", running_tasks())
  tell("cost_mode", counted and "count" or "time")
end

-- How many members of an index are at or before a score and id, found by binary search.
local function rank_after(index, score, id)
  local key = P .. index
  local low, high = call("ZCOUNT", key, "-inf", "(" .. score), call("ZCOUNT", key, "-inf", score)
  while low < high do
    local middle = math.floor((low + high) / 2)
    local member = call("ZRANGE", key, middle, middle)[1]
    if comes_after(0, member, 0, id) then high = middle else low = middle + 1 end
  end
  return low
end

-- When the queue was created, and the number of changes of its schedules and settings: fewer than before if
-- the server restored older data.
local function edition()
  local changes = call("HMGET", P .. "counts", "changes", "settings")
  return born and int(born) or "", int((whole(changes[1]) or 0) + (whole(changes[2]) or 0))
end

-- The names of the counters of a queue.
local COUNTERS = {
  "queued", "pushed", "finished", "failed", "canceled", "retried", "snoozed", "released", "redriven", "expired",
  "stale", "broken", "fired", "missed", "skipped", "changes", "settings",
}
