#!lua flags=allow-oom
--[[ verify_counts: looks whether the counters of the queue are numbers, and that of queued tasks the right one.
  KEYS[1] meta
  ARGV[1] fix: 1 mends what is found, 0 only looks
  Returns {1, kind, name, what, mended, ...} with four places for each finding | {-5, what} | {-6, schema} ]]
--- @include "begin"
--- @include "arguments"
--- @include "found"
local COUNTED = 10000 -- users whose queues are counted in one step

local refused = begin()
if refused then return refused end
if not begin_verification() or #ARGV ~= 1 then return bad_arguments("verify_counts takes 0 or 1") end

local function mend(name, what, value)
  found("counter", name, what, fix)
  if fix then call("HSET", P .. "counts", name, int(value)) end
end

local counters, queued = call("HGETALL", P .. "counts"), 0
for index = 1, #counters, 2 do
  local name, value = counters[index], tonumber(counters[index + 1])
  if not value or value % 1 ~= 0 or value < 0 then
    if name ~= "queued" then mend(name, "it is no number of tasks", 0) end
  elseif name == "queued" then
    queued = value
  end
end
if call("ZCARD", P .. "users") > COUNTED then
  found("unseen", "counts", "too many users have work for their tasks to be counted", false)
  return all_found()
end
local waiting = 0
for _, id in ipairs(call("ZRANGEBYLEX", P .. "users", "-", "+", "LIMIT", 0, COUNTED)) do
  waiting = waiting + call("ZCARD", P .. "n:" .. id) + call("ZCARD", P .. "c:" .. id)
end
if waiting ~= queued then mend("queued", "it says " .. int(queued) .. ", and there are " .. int(waiting), waiting) end
return all_found()
