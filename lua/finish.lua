#!lua flags=allow-oom
--[[ finish: stores the results of tasks, exactly once each, and settles their cost.
  Guarantee: only the holder of the token can end an attempt. Repeating the call returns the same and changes nothing.
  KEYS[1] meta
  ARGV[1] result_ttl_ms
  ARGV[2..] for each task: id, token, ran_us (by the worker's monotonic clock), result ('' for null, else JSON),
    xcom ('' for none, else a JSON object of its values by key)
  Returns {1, code, state, ...} with two places per task: {1, state} done, {2, state} done before, {-1, state} lost,
    {-2, ''} not found | {-5, what} | {-6, schema}
  Moves: STARTED -> FINISHED,
    DEFERRED -> QUEUED, DEFERRED -> SCHEDULED, DEFERRED -> CANCELED, DEFERRED -> FAILED ]]
--- @include "quick_finish"
--- @include "begin"
--- @include "arguments"
--- @include "enter"
--- @include "finish"
--- @include "dependencies"
local STRIDE = 5

local refused = begin()
if refused then return refused end
local result_ttl_ms = number_at(1)
if not result_ttl_ms or not grouped(1, STRIDE) then
  return bad_arguments("finish takes a retention time and id, token, time, result and XCom of each task")
end
local malformed = bad_times(1, STRIDE)
if malformed then return malformed end

local reply = finish(1, result_ttl_ms)
free_dependents(FREED, result_ttl_ms)
commit()
return reply
