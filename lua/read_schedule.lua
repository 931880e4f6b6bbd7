#!lua flags=no-writes
--[[ read_schedule: what is known of some schedules; those that there are none of are left out. The answer tells of the
  first of them, all unless that is more than 4 MiB; ask again for the others.
  KEYS[1] meta
  ARGV[1..] for each task: schedule
  Returns {1, now_ms, told, schedule, definition, revision, on, next, from, forget, last, fired, missed, skipped,
    misses, did, ...} with thirteen places for each schedule, after how many of the names it tells of | {-5, what}
    | {-6, schema} ]]
--- @include "begin_reading"
--- @include "arguments"
--- @include "record"
--- @include "tell_schedules"
local MOST = 1000 -- calls/schedules.py has the same
local refused = begin_reading()
if refused then return refused end
if #ARGV < 1 or #ARGV > MOST then return bad_arguments("read_schedule takes 1 to 1000 schedules") end

local reply = {1, int(wall_ms), 0}
reply[3] = tell_schedules(reply, ARGV, #ARGV)
return reply
