#!lua flags=allow-oom
--[[ cancel: ends a waiting task at once, or asks a running one to stop.
  Guarantee: a task that has ended keeps its ending. Repeating the call changes nothing.
  KEYS[1] meta
  ARGV[1] result_ttl_ms  ARGV[2] id  ARGV[3] reason (JSON text)
  Returns {1, state} canceled | {4, state} running and asked to stop | {2, state} ended before | {-2} not found
    | {-5, what} | {-6, schema}
  Moves: SCHEDULED -> CANCELED, QUEUED -> CANCELED,
    DEFERRED -> QUEUED, DEFERRED -> SCHEDULED, DEFERRED -> CANCELED, DEFERRED -> FAILED ]]
--- @include "begin"
--- @include "arguments"
--- @include "tasks"
--- @include "users"
--- @include "enter"
--- @include "endings"
--- @include "dependencies"
local refused = begin()
if refused then return refused end
local result_ttl_ms, id, reason = number_at(1), ARGV[2], ARGV[3]
if #ARGV ~= 3 or not result_ttl_ms or id == "" then
  return bad_arguments("cancel takes a retention time, a task and a reason")
end

local t = task(id)
local state, owner = t.r.state, t.r.user
if not state then return {-2} end
if state == "STARTED" then
  t.r.cancel = true
  will_write(t)
  write_tasks()
  return {4, state}
end
if state ~= "SCHEDULED" and state ~= "QUEUED" and state ~= "DEFERRED" then return {2, state} end

if state == "SCHEDULED" then
  undelay(id, owner)
elseif state == "DEFERRED" then
  undefer(t)
else
  leave_queue(user(owner), t)
end
conclude(t, "CANCELED", reason, result_ttl_ms)
free_dependents(FREED, result_ttl_ms)
commit()
return {1, "CANCELED"}
