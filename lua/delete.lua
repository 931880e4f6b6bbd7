#!lua flags=allow-oom
--[[ delete: deletes dead letters before they expire.
  Guarantee: a task that is not a dead letter is left unchanged.
  KEYS[1] meta
  ARGV[1] result_ttl_ms
  ARGV[2..] for each task: id
  Returns {1, code, ...} with one place per task: {1} deleted, {2} not a dead letter, {-2} not found, {-8} its
    dependents are still being notified of its end: repeat the call | {-5, what} | {-6, schema}
  Moves: DEFERRED -> QUEUED, DEFERRED -> SCHEDULED, DEFERRED -> CANCELED, DEFERRED -> FAILED ]]
--- @include "access"
--- @include "begin"
--- @include "arguments"
--- @include "writes"
--- @include "tasks"
--- @include "enter"
--- @include "retention"
--- @include "dependencies"
local MOST_TASKS = 1000

local refused = begin()
if refused then return refused end
local result_ttl_ms = number_at(1)
if not result_ttl_ms or not grouped(1, 1) or #ARGV > 1 + MOST_TASKS then
  return bad_arguments("delete takes a retention time and 1 to 1000 tasks")
end

local reply, gone = {1}, {}
for index = 2, #ARGV do
  local t = task(ARGV[index])
  local code = 1
  if not t.r.state or gone[t.id] then
    code = -2
  elseif t.r.state ~= "FAILED" then
    code = 2
  elseif dependents_pending(t) or call("EXISTS", P .. "w:" .. t.id) == 1 then
    code = -8
  else
    gone[t.id] = true
    forget_task(t.id, "held")
    take_from("kept", t.id)
  end
  reply[#reply + 1] = code
end
free_dependents(FREED, result_ttl_ms)
commit()
return reply
