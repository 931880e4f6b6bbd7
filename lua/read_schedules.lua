#!lua flags=no-writes
--[[ read_schedules: returns one page of at most 4 MiB of the schedules, ordered by id.
  KEYS[1] meta
  ARGV[1] from: '(' and the schedule before the first one, '[' and the first possible one, or '-' from the beginning
  ARGV[2] most: 1 to 1000
  Returns {1, now_ms, until, schedule, definition, revision, on, next, from, forget, last, fired, missed, skipped,
    misses, did, ...} with thirteen places per schedule; until: the last one read, '' if no others follow
    | {-5, what} | {-6, schema} ]]
--- @include "access"
--- @include "begin"
--- @include "arguments"
--- @include "reading"
local refused = begin_reading()
if refused then return refused end
local from, most = ARGV[1], number_at(2)
if #ARGV ~= 2 or not page_from(from) or not most or most < 1 or most > 1000 then
  return bad_arguments("read_schedules takes a schedule and a number of schedules")
end

local ids = call("ZRANGEBYLEX", P .. "schedules", from, "+", "LIMIT", 0, most + 1) -- one more, to see if others follow
local reply = {1, int(wall_ms), ""}
local looked_at = tell_schedules(reply, ids, most)
if looked_at < #ids then reply[3] = ids[looked_at] end
return reply
