#!lua flags=allow-oom
--[[ fail: records failed attempts: each task is retried after a delay, becomes a dead letter, or is canceled.
  Guarantee: only the holder of the token can end an attempt. Repeating the call returns the same and changes nothing.
  KEYS[1] meta
  ARGV[1] result_ttl_ms  ARGV[2] dead_ttl_ms
  ARGV[3..] for each task: id, token, ran_us, verdict ('retry', 'snooze': uses no retry, 'dead', 'cancel'),
    pause_ms, error (JSON)
  Returns {1, code, state, ...} with two places per task: {1, state} done, {2, state} done before, {-1, state} lost,
    {-2, ''} not found | {-5, what} | {-6, schema}
  Moves: STARTED -> SCHEDULED, STARTED -> FAILED, STARTED -> CANCELED,
    DEFERRED -> QUEUED, DEFERRED -> SCHEDULED, DEFERRED -> CANCELED, DEFERRED -> FAILED ]]
--- @include "begin"
--- @include "arguments"
--- @include "writes"
--- @include "tasks"
--- @include "enter"
--- @include "endings"
--- @include "attempts"
--- @include "retention"
--- @include "finish"
--- @include "dependencies"
local STRIDE = 6
local VERDICTS = {retry = true, snooze = true, dead = true, cancel = true}

local refused = begin()
if refused then return refused end
local result_ttl_ms, dead_ttl_ms = number_at(1), number_at(2)
if not result_ttl_ms or not dead_ttl_ms or not grouped(2, STRIDE) then
  return bad_arguments("fail takes two retention times and six arguments a task")
end
for first = 3, #ARGV, STRIDE do
  if not number_at(first + 2) or not VERDICTS[ARGV[first + 3]] or not number_at(first + 4) then
    return bad_arguments("time, verdict or pause of task " .. ARGV[first] .. " is malformed")
  end
end

local function try_again(t, verdict, pause_ms)
  local r = t.r
  r.state, r.settled, r.fails = "SCHEDULED", r.token, (r.fails or 0) + (verdict == "retry" and 1 or 0)
  will_write(t)
  delay(t.id, t.r.user, now_ms + pause_ms)
  count(verdict == "retry" and "retried" or "snoozed", 1)
  return "SCHEDULED"
end

local reply = endings(2, STRIDE, function(t, first)
  local verdict, blob = ARGV[first + 3], ARGV[first + 5]
  leave_running(t, number_at(first + 2))
  if verdict == "dead" then return conclude(t, "FAILED", blob, dead_ttl_ms) end
  if verdict == "cancel" or t.r.cancel then return conclude(t, "CANCELED", blob, result_ttl_ms) end
  return try_again(t, verdict, number_at(first + 4))
end)
trim(2 * (#ARGV - 2) / STRIDE)
free_dependents(FREED, result_ttl_ms)
commit()
return reply
