#!lua flags=allow-oom
--[[ unschedule: removes a schedule. Tasks that it enqueued are kept. Repeating the call changes nothing.
  KEYS[1] meta
  ARGV[1] schedule  ARGV[2] revision ('N' the one that was read, '' any)
  Returns {1} | {2} no such schedule | {-10, revision} another revision | {-5, what} | {-6, schema} ]]
--- @include "access"
--- @include "begin"
--- @include "arguments"
--- @include "writes"
--- @include "schedule_record"
local refused = begin()
if refused then return refused end
local id, revision = id_at(1), number_at(2)
if #ARGV ~= 2 or not id or (ARGV[2] ~= "" and not revision) then
  return bad_arguments("unschedule takes a schedule and a revision")
end

local key = P .. "schedule:" .. id
local known = schedule_record(key)
if known and known.rev then
  if revision and revision ~= known.rev then return {-10, known.rev} end
  call("DEL", key)
  call("ZREM", P .. "schedules", id)
  call("ZREM", P .. "due", id)
elseif not lose(id) then
  return {2}
end
call("PUBLISH", P .. "changed", "schedules")
return {1}
