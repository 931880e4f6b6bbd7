#!lua flags=allow-oom
--[[ sweep: what time has made due, up to 100 of each kind: delayed tasks, lost leases, records kept long enough, users
  without work or debt. Any worker calls it every few seconds; one at a time does the work.
  KEYS[1] meta
  ARGV[1] guard_ms: for how long the next call does nothing  ARGV[2] max_deliveries  ARGV[3] result_ttl_ms
  ARGV[4] dead_ttl_ms
  Returns {1, promoted, reclaimed, forgotten, users} | {2} another did it just now | {-5, what} | {-6, schema}
  Moves: SCHEDULED -> QUEUED, STARTED -> QUEUED, STARTED -> FAILED, STARTED -> CANCELED,
    DEFERRED -> QUEUED, DEFERRED -> SCHEDULED, DEFERRED -> CANCELED, DEFERRED -> FAILED ]]
--- @include "begin"
--- @include "arguments"
--- @include "counts"
--- @include "batch"
--- @include "globals"
--- @include "user"
--- @include "sync"
--- @include "enter"
--- @include "wake"
--- @include "commit"
--- @include "task"
--- @include "conclude"
--- @include "free_dependents"
--- @include "leave_running"
--- @include "put_back"
--- @include "reclaim"
--- @include "promote"
--- @include "collect"
--- @include "trim"
local LIMIT = 100

local refused = begin()
if refused then return refused end
local guard_ms, max_deliveries, result_ttl_ms, dead_ttl_ms = number_at(1), number_at(2), number_at(3), number_at(4)
if #ARGV ~= 4 or not guard_ms or not max_deliveries or not result_ttl_ms or not dead_ttl_ms then
  return bad_arguments("sweep takes a guard, max_deliveries and two times of keeping")
end
if guard_ms > 0 and not call("SET", P .. "sweeping", "1", "NX", "PX", int(guard_ms)) then return {2} end

load_globals()
local reclaimed = reclaim(LIMIT, max_deliveries, result_ttl_ms, dead_ttl_ms)
local promoted = promote(LIMIT, dead_ttl_ms)
due_timers(LIMIT)
free_dependents(LIMIT, result_ttl_ms)
settle()
send_batches()
-- Nobody waits and nobody runs: all debts are forgiven, so that idle users leave nothing behind.
if call("EXISTS", P .. "ready", P .. "fresh", P .. "running") == 0 then g.V = math.max(g.V, next_tag()) end
local collected = collect(LIMIT)
local forgotten = trim(LIMIT)
commit()
-- Without users virtual time begins again, so that tags stay small.
if call("EXISTS", P .. "users") == 0 then call("HDEL", P .. "g", "V", "aseq", "bs", "cg") end
return {1, promoted, reclaimed, forgotten, collected}
