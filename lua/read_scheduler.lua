#!lua flags=no-writes
--[[ read_scheduler: returns the leading scheduler and the counters of schedules.
  KEYS[1] meta
  Returns {1, now_ms, holder, term, until_ms, schedules, overdue, first_ms, fired, missed, skipped} | {-6, schema} ]]
--- @include "access"
--- @include "begin"
local refused = begin_reading()
if refused then return refused end
local lock = call("HMGET", P .. "lock", "holder", "term", "until")
local counted_times = call("HMGET", P .. "counts", "fired", "missed", "skipped")
-- Schedules whose next time is not computed yet come before all times.
local first = call("ZRANGEBYSCORE", P .. "due", 1, "+inf", "WITHSCORES", "LIMIT", 0, 1)[2]
local until_ms = int(math.max(0, (whole(lock[3]) or 0) - shift_ms))
return {
  1, int(wall_ms), lock[1] or "", int(whole(lock[2]) or 0), until_ms, call("ZCARD", P .. "schedules"),
  call("ZCOUNT", P .. "due", "-inf", int(wall_ms)), between(first, 0, TOP) and int(first) or "",
  int(whole(counted_times[1]) or 0), int(whole(counted_times[2]) or 0), int(whole(counted_times[3]) or 0),
}
