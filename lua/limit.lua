#!lua flags=allow-oom
--[[ limit: sets the limits of users (weight, tasks at a time, starts a second, waiting tasks) and pauses them. A limit
  takes effect at once, also for waiting tasks; a default of all users when a task of the user is pushed, started or
  ended.
  Guarantee: all settings of the call are stored, or none. Repeating the call changes nothing.
  KEYS[1] meta
  ARGV[1..] for each task: user ('' the defaults of all), setting ('weight', 'cap', 'rate', 'burst', 'backlog'
    or 'paused'), value ('' none)
  Returns {1, changed} | {-5, what} | {-6, schema} ]]
--- @include "access"
--- @include "begin"
--- @include "arguments"
--- @include "writes"
--- @include "user_record"
--- @include "users"
--- @include "sync"
--- @include "enter"
local STRIDE = 3
local MOST = 1000 -- settings per call; keep equal to limits.py
local HOLDS = {cap = true, rate = true, burst = true, paused = true}

local refused = begin()
if refused then return refused end
if not grouped(0, STRIDE) or #ARGV > MOST * STRIDE then
  return bad_arguments("limit takes user, setting and value, 1 to 1000 times")
end
for first = 1, #ARGV, STRIDE do
  local id, setting, text = ARGV[first], ARGV[first + 1], ARGV[first + 2]
  local range = RANGES[setting]
  if not range or (text ~= "" and not in_range(setting, text)) or (id == "" and not range[4])
    or (id ~= "" and not id_at(first)) then
    return bad_arguments(string.format("%s of user '%s' cannot be '%s'", setting, id, text))
  end
end

-- Debt and lead in service are kept: a change of weight gives no credit.
local function act(u, w, held)
  if u.w ~= w and u.r.S > -math.huge then u.r.S = g.V + (u.r.S - g.V) * w / u.w end
  if held then start_over(u) end
end

local changed, weights, held = 0, {}, {}
for first = 1, #ARGV, STRIDE do
  local id, setting, value = ARGV[first], ARGV[first + 1], ARGV[first + 2]
  local key = P .. "cfg:" .. id
  if (call("HGET", key, setting) or "") ~= value then
    changed = changed + 1
    if id ~= "" and not weights[id] then weights[id] = user(id).w end
    held[id] = held[id] or HOLDS[setting]
    if value == "" then call("HDEL", key, setting) else call("HSET", key, setting, value) end
    if call("EXISTS", key) == 1 then
      call("ZADD", P .. "configured", "0", id)
    else
      call("ZREM", P .. "configured", id)
    end
  end
end
if changed == 0 then return {1, 0} end
create()
-- Users whom a default held back are looked at again by their next call, also after it was removed.
local kinds = (limited == 2 or call("EXISTS", P .. "cfg:") == 1) and "2" or "1"
call("HSET", KEYS[1], "limits", kinds)
note_limited(kinds)
count("settings", 1)
forget_defaults()
for id, w in pairs(weights) do
  local u = user(id)
  read_limits(u)
  act(u, w, held[id])
end
commit()
return {1, changed}
