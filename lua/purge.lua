#!lua flags=allow-oom
--[[ purge: cancels waiting tasks of one user, a limited number per call. Running ones continue.
  Guarantee: a task that has ended keeps its ending. The caller repeats it until no task is left.
  KEYS[1] meta
  ARGV[1] result_ttl_ms  ARGV[2] user  ARGV[3] reason (JSON text)  ARGV[4] most: 1 to 1000
  Returns {1, canceled, left} | {-5, what} | {-6, schema}
  Moves: SCHEDULED -> CANCELED, QUEUED -> CANCELED,
    DEFERRED -> QUEUED, DEFERRED -> SCHEDULED, DEFERRED -> CANCELED, DEFERRED -> FAILED ]]
--- @include "begin"
--- @include "arguments"
--- @include "counts"
--- @include "batch"
--- @include "user"
--- @include "sync"
--- @include "enter"
--- @include "wake"
--- @include "delay"
--- @include "commit"
--- @include "task"
--- @include "conclude"
--- @include "free_dependents"
--- @include "bury"
local refused = begin()
if refused then return refused end
local result_ttl_ms, id, reason, most = number_at(1), id_at(2), ARGV[3], number_at(4)
if #ARGV ~= 4 or not result_ttl_ms or not id or not most or most < 1 or most > 1000 then
  return bad_arguments("purge takes a retention time, a user, a reason and a number of tasks")
end

local u = user(id)
count_waiting(u)
local scheduled = P .. "s:" .. id
local before, canceled = u.pn + u.pc + call("ZCARD", scheduled), 0

-- Each queue from its front: tasks pushed during a purge are behind those it was called for.
local function cancel_from(key, remove)
  for _, task_id in ipairs(call("ZRANGEBYSCORE", key, "-inf", "+inf", "LIMIT", 0, most - canceled)) do
    remove(task_id)
    local t = task(task_id)
    if t.r.state then
      conclude(t, "CANCELED", reason, result_ttl_ms)
    else
      bury(t, id, "what user " .. id .. " has waiting", result_ttl_ms)
    end
    canceled = canceled + 1
    if canceled == most then return end
  end
end

local function unqueue(lane)
  local gone = -canceled
  local index = lane .. ":" .. id
  if canceled < most then cancel_from(P .. index, function(task_id) take_from(index, task_id) end) end
  gone = gone + canceled
  u["p" .. lane] = u["p" .. lane] - gone
  count("queued", -gone)
end

unqueue("n")
unqueue("c")
if canceled < most then
  cancel_from(scheduled, function(task_id)
    undelay(task_id, id)
    take_from("deferred", task_id)
  end)
end
free_dependents(FREED, result_ttl_ms)
commit()
return {1, canceled, before - canceled}
