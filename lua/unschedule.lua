#!lua flags=allow-oom
--[[ unschedule: removes a schedule. The tasks that it brought stay. Sent again it changes nothing.
  KEYS[1] meta
  ARGV[1] schedule  ARGV[2] revision ('N' as it was read, '' whatever it is)
  Returns {1} | {2} there is none | {-10, revision} another revision | {-5, what} | {-6, schema} ]]
--- @include "begin"
--- @include "arguments"
--- @include "record"
local refused = begin()
if refused then return refused end
local id, revision = id_at(1), number_at(2)
if #ARGV ~= 2 or not id or (ARGV[2] ~= "" and not revision) then
  return bad_arguments("unschedule takes a schedule and a revision")
end

local known = record(P .. "schedule:" .. id)
if not known then return {2} end
if revision and revision ~= known.rev then return {-10, known.rev} end
call("DEL", P .. "schedule:" .. id)
call("ZREM", P .. "schedules", id)
call("ZREM", P .. "due", id)
call("PUBLISH", P .. "changed", "schedules")
return {1}
