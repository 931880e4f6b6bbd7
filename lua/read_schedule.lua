#!lua flags=no-writes
--[[ read_schedule: returns some schedules; unknown ones are left out. An answer has at most 4 MiB: if it does not cover
  all of the schedules, call again for the rest.
  KEYS[1] meta
  ARGV[1..] for each task: schedule
  Returns {1, now_ms, told, schedule, definition, revision, on, next, from, forget, last, fired, missed, skipped,
    misses, did, ...} with thirteen places per schedule; told: how many of the names it covers | {-5, what}
    | {-6, schema} ]]
--- @include "begin"
--- @include "arguments"
--- @include "reading"
local MOST = 1000 -- keep equal to calls/schedules.py
local refused = begin_reading()
if refused then return refused end
if #ARGV < 1 or #ARGV > MOST then return bad_arguments("read_schedule takes 1 to 1000 schedules") end

local reply = {1, int(wall_ms), 0}
reply[3] = tell_schedules(reply, ARGV, #ARGV)
return reply
