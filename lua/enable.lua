#!lua flags=allow-oom
--[[ enable: lets a schedule fire, from now on, or stops it at once. Sent again it changes nothing.
  KEYS[1] meta
  ARGV[1] schedule  ARGV[2] on: '1' it fires, '0' it does not
  Returns {1, revision} | {2, revision} it was so before | {-2} not found | {-5, what} | {-6, schema} ]]
--- @include "begin"
--- @include "arguments"
--- @include "counts"
--- @include "schedules"
--- @include "retime"
--- @include "commit_schedules"
local refused = begin()
if refused then return refused end
local id, on = id_at(1), ARGV[2] == "1"
if #ARGV ~= 2 or not id or (ARGV[2] ~= "0" and not on) then
  return bad_arguments("enable takes a schedule, and 1 or 0")
end

local s = schedule(id)
if not s.r.rev then return {-2} end
if s.r.on == on then return {2, s.r.rev} end
retime(s, nil, "disabled")
s.r.on = on
change(s)
commit_schedules()
return {1, s.r.rev}
