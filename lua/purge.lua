#!lua flags=allow-oom
--[[ purge: cancels waiting tasks of one user, a limited number per call. Running ones continue.
  Guarantee: a task that has ended keeps its ending. The caller repeats it until no task is left.
  KEYS[1] meta
  ARGV[1] result_ttl_ms  ARGV[2] user  ARGV[3] reason (JSON text)  ARGV[4] most: 1 to 1000
  Returns {1, canceled, left} | {-5, what} | {-6, schema}
  Moves: SCHEDULED -> CANCELED, QUEUED -> CANCELED,
    DEFERRED -> QUEUED, DEFERRED -> SCHEDULED, DEFERRED -> CANCELED, DEFERRED -> FAILED ]]
--- @include "access"
--- @include "begin"
--- @include "arguments"
--- @include "writes"
--- @include "tasks"
--- @include "queues"
--- @include "users"
--- @include "enter"
--- @include "endings"
--- @include "dependencies"
local refused = begin()
if refused then return refused end
local result_ttl_ms, id, reason, most = number_at(1), id_at(2), ARGV[3], number_at(4)
if #ARGV ~= 4 or not result_ttl_ms or not id or not most or most < 1 or most > 1000 then
  return bad_arguments("purge takes a retention time, a user, a reason and a number of tasks")
end

local u = user(id)
recount(u)
local listed, beside, critical, scheduled = P .. "n:" .. id, "z:" .. id, "c:" .. id, "s:" .. id
local before, canceled = u.pn + u.pc + call("ZCARD", P .. scheduled), 0

local function cancel(task_id)
  local t = task(task_id)
  if not t.r.ended_at and t.r.state and t.r.state ~= "STARTED" then
    conclude(t, "CANCELED", reason, result_ttl_ms)
  elseif not t.r.state then
    bury(t, id, "what user " .. id .. " has waiting", result_ttl_ms)
  end
  canceled = canceled + 1
end

-- Each queue from its front: tasks pushed during a purge are behind those it was called for.
local front = call("LRANGE", listed, 0, most - 1)
for _, element in ipairs(front) do
  if is_tombstone(element) then
    u.r.tombstones = (u.r.tombstones or 0) > 1 and u.r.tombstones - 1 or nil
  else
    cancel(element)
  end
end
if front[1] then call("LTRIM", listed, #front, -1) end
local function cancel_from(index)
  for _, task_id in ipairs(call("ZRANGEBYSCORE", P .. index, "-inf", "+inf", "LIMIT", 0, most - canceled)) do
    take_from(index, task_id)
    cancel(task_id)
    if index == scheduled then
      take_from("delayed", task_id)
      take_from("deferred", task_id)
    end
  end
end

cancel_from(beside)
cancel_from(critical)
count("queued", -canceled)
recount(u)
cancel_from(scheduled)
free_dependents(FREED, result_ttl_ms)
commit()
return {1, canceled, before - canceled}
