#!lua flags=allow-oom
--[[ release: returns running tasks to the queue as if they had not been started: no attempt and no delivery is counted.
  Guarantee: only the holder of the token can release a task. Each task returns to its old place in its user's queue.
  KEYS[1] meta
  ARGV[1] result_ttl_ms
  ARGV[2..] for each task: id, token, ran_us
  Returns {1, code, state, ...} with two places per task: {1, state} done, {2, state} done before, {-1, state} lost,
    {-2, ''} not found | {-5, what} | {-6, schema}
  Moves: STARTED -> QUEUED, STARTED -> CANCELED,
    DEFERRED -> QUEUED, DEFERRED -> SCHEDULED, DEFERRED -> CANCELED, DEFERRED -> FAILED ]]
--- @include "begin"
--- @include "arguments"
--- @include "writes"
--- @include "enter"
--- @include "attempts"
--- @include "finish"
--- @include "dependencies"
local STRIDE = 3

local refused = begin()
if refused then return refused end
local result_ttl_ms = number_at(1)
if not result_ttl_ms or not grouped(1, STRIDE) then
  return bad_arguments("release takes a retention time and id, token and time of each task")
end
local malformed = bad_times(1, STRIDE)
if malformed then return malformed end

local reply = endings(1, STRIDE, function(t, first)
  local r = t.r
  local u = leave_running(t, number_at(first + 2))
  if counted then u.r.S = u.r.S - 1 / u.w end -- undo the count of its start
  r.settled, r.attempt = r.token, math.max(0, r.attempt - 1)
  count("released", 1)
  return put_back(t, u, result_ttl_ms)
end)
free_dependents(FREED, result_ttl_ms)
commit()
return reply
