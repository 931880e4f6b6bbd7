#!lua flags=no-writes
--[[ read_schedule: what is known of one schedule.
  KEYS[1] meta
  ARGV[1] schedule
  Returns {1, now_ms, schedule, definition, revision, on, next, from, forget, last, fired, missed, skipped, misses}
    | {-2} not found | {-5, what} | {-6, schema} ]]
--- @include "begin"
--- @include "arguments"
--- @include "record"
--- @include "tell_schedule"
local refused = begin()
if refused then return refused end
if #ARGV ~= 1 or not id_at(1) then return bad_arguments("read_schedule takes a schedule") end

local reply = {1, int(now_ms)}
return tell_schedule(reply, ARGV[1]) and reply or {-2}
