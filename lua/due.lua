#!lua flags=no-writes
--[[ due: the schedules that are due in an interval of time, the earliest first, for the leader.
  KEYS[1] meta
  ARGV[1] after_ms: '' from the beginning, else later than that  ARGV[2] until_ms: '' until now and ahead_ms
  ARGV[3] ahead_ms  ARGV[4] skip: leave out so many of the first ones  ARGV[5] most: 1 to 1000
  Returns {1, now_ms, until_ms, schedule, definition, revision, on, next, from, forget, last, fired, missed, skipped,
    misses, ...} with twelve places for each schedule | {-5, what} | {-6, schema} ]]
--- @include "begin"
--- @include "arguments"
--- @include "record"
--- @include "tell_schedule"
local refused = begin()
if refused then return refused end
local after_ms, until_ms, ahead_ms, skip, most = ARGV[1], number_at(2), number_at(3), number_at(4), number_at(5)
if #ARGV ~= 5 or (after_ms ~= "" and not number_at(1)) or (ARGV[2] ~= "" and not until_ms) or not ahead_ms or not skip
  or not most or most < 1 or most > 1000 then
  return bad_arguments("due takes two times, how far to look ahead, how many to leave out, and a number of schedules")
end

until_ms = until_ms or now_ms + ahead_ms
local from = after_ms == "" and "-inf" or "(" .. after_ms
local reply = {1, int(now_ms), int(until_ms)}
for _, id in ipairs(call("ZRANGEBYSCORE", P .. "due", from, int(until_ms), "LIMIT", skip, most)) do
  tell_schedule(reply, id)
end
return reply
