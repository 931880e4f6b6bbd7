#!lua flags=allow-oom
--[[ sweep: cleans up, at most 100 of each kind: delayed tasks that are due, expired leases, expired records, users
  without work or debt. Every worker calls it every few seconds; one at a time does the work.
  KEYS[1] meta
  ARGV[1] sweeper: the caller, which may continue at once  ARGV[2] guard_ms: for how long other calls do nothing
  ARGV[3] max_lost_workers  ARGV[4] result_ttl_ms  ARGV[5] dead_ttl_ms
  Returns {1, promoted, reclaimed, forgotten, users, more, id, user, worker, state, ...}: how many of each kind; whether
    a limit was reached, so that the caller should continue at once; and four places per reclaimed task, see
    reclaim in due.lua | {2} another worker did it just now | {-5, what} | {-6, schema}
  Moves: SCHEDULED -> QUEUED, STARTED -> QUEUED, STARTED -> FAILED, STARTED -> CANCELED,
    DEFERRED -> QUEUED, DEFERRED -> SCHEDULED, DEFERRED -> CANCELED, DEFERRED -> FAILED ]]
--- @include "access"
--- @include "begin"
--- @include "formats"
--- @include "arguments"
--- @include "writes"
--- @include "bounds"
--- @include "sync"
--- @include "enter"
--- @include "pick"
--- @include "due"
--- @include "retention"
--- @include "dependencies"
--- @include "verification"
local LIMIT = 100

local refused = begin()
if refused then return refused end
local sweeper, guard_ms, max_lost = ARGV[1], number_at(2), number_at(3)
local result_ttl_ms, dead_ttl_ms = number_at(4), number_at(5)
if #ARGV ~= 5 or sweeper == "" or not guard_ms or not max_lost or not result_ttl_ms or not dead_ttl_ms then
  return bad_arguments("sweep takes a sweeper, a guard, max_lost_workers and two retention times")
end
if guard_ms > 0 then
  local left_ms = call("PTTL", P .. "sweeping")
  -- A longer TTL is corrupt, or the server's clock was set back: it must not block all sweeps.
  if left_ms > 0 and left_ms <= guard_ms and call("GET", P .. "sweeping") ~= sweeper then return {2} end
  call("SET", P .. "sweeping", sweeper, "PX", int(guard_ms))
end

if born then call("ZADD", P .. "running", "inf", FILLER) end
local reclaimed, looked_at = reclaim(LIMIT, max_lost, result_ttl_ms, dead_ttl_ms)
local promoted = promote(LIMIT, dead_ttl_ms)
local started = due_timers(LIMIT)
free_dependents(LIMIT, result_ttl_ms)
settle()
send_batches()
-- No task waits or runs: all debts are forgiven, so that idle users leave no records.
if call("EXISTS", P .. "ready", P .. "fresh") + running_tasks() == 0 then g.V = math.max(g.V, next_tag()) end
local collected = collect(LIMIT)
lower_tags()
local forgotten, unfinished = trim(LIMIT)
doubt_bounds()
commit()
-- Without users virtual time starts over, so that tags stay small.
if g.V + g.aseq > 0 and call("EXISTS", P .. "users") == 0 then
  g.V, g.aseq, g.bs, g.cg = 0, 0, 0, 0
  save_globals()
end
local most = math.max(looked_at, promoted, started, collected)
local more = call("EXISTS", P .. "pending") > 0 or unfinished or most == LIMIT
local reply = {1, promoted, #reclaimed / 4, forgotten, collected, more and 1 or 0}
for place, value in ipairs(reclaimed) do reply[6 + place] = value end
return reply
