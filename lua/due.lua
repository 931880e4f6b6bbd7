#!lua flags=no-writes
--[[ due: which schedules are due soon, the earliest first, for the leader.
  KEYS[1] meta
  ARGV[1] ahead_ms: how far to look ahead  ARGV[2] most: 1 to 10000
  Returns {1, now_ms, schedule, due_ms, ...} with two places for each schedule | {-5, what} | {-6, schema} ]]
--- @include "begin"
--- @include "arguments"
local refused = begin()
if refused then return refused end
local ahead_ms, most = number_at(1), number_at(2)
if #ARGV ~= 2 or not ahead_ms or not most or most < 1 or most > 10000 then
  return bad_arguments("due takes how far to look ahead, and a number of schedules")
end

local found = call("ZRANGEBYSCORE", P .. "due", "-inf", int(now_ms + ahead_ms), "WITHSCORES", "LIMIT", 0, most)
local reply = {1, int(now_ms)}
for place = 1, #found do reply[place + 2] = found[place] end
return reply
