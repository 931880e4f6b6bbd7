#!lua flags=no-writes
--[[ read_scheduler: who fires the schedules, and the numbers of them.
  KEYS[1] meta
  Returns {1, now_ms, holder, term, until_ms, schedules, overdue, first_ms, fired, missed, skipped} | {-6, schema} ]]
--- @include "begin"
local refused = begin()
if refused then return refused end
local lock = call("HMGET", P .. "lock", "holder", "term", "until")
local counted_times = call("HMGET", P .. "counts", "fired", "missed", "skipped")
local first = first_score("due")
return {
  1, int(now_ms), lock[1] or "", lock[2] or "0", lock[3] or "0", call("ZCARD", P .. "schedules"),
  call("ZCOUNT", P .. "due", "-inf", int(now_ms)), first < math.huge and int(first) or "",
  counted_times[1] or "0", counted_times[2] or "0", counted_times[3] or "0",
}
