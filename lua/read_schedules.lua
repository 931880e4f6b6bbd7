#!lua flags=no-writes
--[[ read_schedules: one page of the schedules, in the order of their ids.
  KEYS[1] meta
  ARGV[1] from: '(' and the schedule before the first one, or '-' from the beginning  ARGV[2] most: 1 to 1000
  Returns {1, now_ms, schedule, definition, revision, on, next, from, forget, last, fired, missed, skipped, misses, ...}
    with twelve places for each schedule | {-5, what} | {-6, schema} ]]
--- @include "begin"
--- @include "arguments"
--- @include "record"
--- @include "tell_schedule"
local refused = begin()
if refused then return refused end
local from, most = ARGV[1], number_at(2)
if #ARGV ~= 2 or not page_from(from) or not most or most < 1 or most > 1000 then
  return bad_arguments("read_schedules takes a schedule and a number of schedules")
end

local reply = {1, int(now_ms)}
for _, id in ipairs(call("ZRANGEBYLEX", P .. "schedules", from, "+", "LIMIT", 0, most)) do tell_schedule(reply, id) end
return reply
