#!lua flags=allow-oom
--[[ enable: makes a schedule fire from now on, or stops it at once. Repeating the call changes nothing.
  KEYS[1] meta
  ARGV[1] schedule  ARGV[2] on: '1' fires, '0' does not
  ARGV[3] overdue: how many of its runs are due and not fired, 0 unknown  ARGV[4] overdue_first  ARGV[5] overdue_last
  Returns {1, revision} | {2, revision} already so | {-2} not found | {-5, what} | {-6, schema} ]]
--- @include "begin"
--- @include "arguments"
--- @include "schedule_record"
--- @include "schedules"
local refused = begin()
if refused then return refused end
local id, on, overdue = id_at(1), ARGV[2] == "1", overdue_at(3)
if #ARGV ~= 5 or not id or (ARGV[2] ~= "0" and not on) or not overdue then
  return bad_arguments("enable takes a schedule, 1 or 0, and what is overdue")
end

local s = schedule(id)
if not s.r.rev then return {-2} end
if s.r.on == on then return {2, s.r.rev} end
retime(s, nil, "disabled", overdue)
s.r.on = on
change(s)
commit_schedules()
return {1, s.r.rev}
