#!lua flags=no-writes
--[[ due: lists the schedules that are due soon, the earliest first, for the leader.
  KEYS[1] meta
  ARGV[1] ahead_ms: how far to look ahead  ARGV[2] most: 1 to 10000  ARGV[3] skip: how many of the earliest to leave out
  Returns {1, now_ms, schedule, due_ms, ...} with two places per schedule | {-5, what} | {-6, schema} ]]
--- @include "access"
--- @include "begin"
--- @include "arguments"
local refused = begin_reading()
if refused then return refused end
local ahead_ms, most, skip = number_at(1), number_at(2), number_at(3)
if #ARGV ~= 3 or not ahead_ms or not most or most < 1 or most > 10000 or not skip then
  return bad_arguments("due takes how far to look ahead, a number of schedules, and how many to leave out")
end

local found = call("ZRANGEBYSCORE", P .. "due", "-inf", int(wall_ms + ahead_ms), "WITHSCORES", "LIMIT", skip, most)
local reply = {1, int(wall_ms)}
for place = 1, #found, 2 do
  reply[place + 2], reply[place + 3] = found[place], int(between(found[place + 1], 0, TOP) or 0)
end
return reply
