#!lua flags=no-writes
--[[ read_schedule: what is known of some schedules; those that there are none of are left out.
  KEYS[1] meta
  ARGV[1..] for each task: schedule
  Returns {1, now_ms, schedule, definition, revision, on, next, from, forget, last, fired, missed, skipped, misses, ...}
    with twelve places for each schedule | {-5, what} | {-6, schema} ]]
--- @include "begin"
--- @include "arguments"
--- @include "record"
--- @include "tell_schedule"
local MOST = 1000 -- calls/schedules.py has the same
local refused = begin()
if refused then return refused end
if #ARGV < 1 or #ARGV > MOST then return bad_arguments("read_schedule takes 1 to 1000 schedules") end

local reply = {1, int(now_ms)}
for _, id in ipairs(ARGV) do tell_schedule(reply, id) end
return reply
