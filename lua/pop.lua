#!lua flags=allow-oom
--[[ pop: gives a worker the next tasks, fair between users, each with a lease. It first ends attempts of the worker as
  finish does, and reclaims tasks with expired leases.
  Guarantee: no other worker gets the task until its lease ends. Repeated with the same claim, it returns the same
  tasks; ends that were recorded before are not recorded again.
  KEYS[1] meta
  ARGV[1] worker  ARGV[2] claim: 16 hexadecimal digits, new for each pop  ARGV[3] count: 1 to 100  ARGV[4] lease_ms
  ARGV[5] max_lost_workers  ARGV[6] result_ttl_ms  ARGV[7] dead_ttl_ms
  ARGV[8..] for each task: id, token, ran_us, result, xcom
  Returns {1, more, wait_ms, reclaimed, ended, fence, id, body, again, ...}, three places per task, at most 4 MiB, but
    at least one task if there is one; fence is that of all attempts, which are the first of their tasks, unless `again`
    says otherwise: if it is not empty, it is packed as task_format says;
    more is 1 if another pop may find work at once: a runnable task, or a bounded step that is not finished;
    wait_ms is 0 then, else the time until the next delayed task, retry, rate or lease end, -1 if there is none;
    reclaimed lists the tasks that were reclaimed, see reclaim in due.lua;
    ended is the answer of finish for the attempts in ARGV, if any: {1, state}, {2, state}, {-1, state}, {-2, ''}
    | {-5, what} | {-6, schema}
  Moves: QUEUED -> STARTED, STARTED -> FINISHED, SCHEDULED -> QUEUED, STARTED -> QUEUED, STARTED -> FAILED,
    STARTED -> CANCELED,
    DEFERRED -> QUEUED, DEFERRED -> SCHEDULED, DEFERRED -> CANCELED, DEFERRED -> FAILED ]]
local ended -- the answer about attempts that the quick path has ended
--- @include "quick_pop"
--- @include "access"
--- @include "formats"
--- @include "begin"
--- @include "arguments"
--- @include "writes"
--- @include "tasks"
--- @include "rings"
--- @include "users"
--- @include "sync"
--- @include "enter"
--- @include "attempts"
--- @include "pick"
--- @include "due"
--- @include "finish"
--- @include "dependencies"
local refused = begin()
if refused then return refused end
local worker, claim, wanted, lease_ms = ARGV[1], ARGV[2], number_at(3), number_at(4)
local max_lost, result_ttl_ms, dead_ttl_ms = number_at(5), number_at(6), number_at(7)
if #ARGV < 7 or worker == "" or #worker > 255 or not string.match(claim, "^%x+$") or #claim > 200 or not wanted
  or wanted < 1 or wanted > 100 or not lease_ms or lease_ms < 1 or not max_lost or not result_ttl_ms
  or not dead_ttl_ms then
  return bad_arguments("pop takes a worker, a claim, 1 to 100 tasks, a lease, lost workers and two retention times")
end

local ends = #ARGV > 7
if ends and not grouped(7, ENDING) then return bad_arguments("pop takes five arguments for each task that it ends") end
local malformed = ends and bad_times(7, ENDING)
if malformed then return malformed end
local reply = {1, 1, 0, {}, ended or ends and finish(7, result_ttl_ms) or {1}, now}
local claim_key = P .. "claim:" .. worker
local record = call("GET", claim_key)
if record and string.sub(record, 1, #claim + 1) == claim .. "\n" then
  for id in string.gmatch(string.sub(record, #claim + 2), "[^\n]+") do
    local t = task(id)
    if t.r.state == "STARTED" and string.sub(t.r.token or "", -#claim) == claim then describe(reply, t) end
  end
  if ends then
    free_dependents(FREED, result_ttl_ms)
    commit()
  end
  return reply
end

g.pop_at = now_ms
send_index("running") -- reclaim reads it
reply[4] = reclaim(2, max_lost, result_ttl_ms, dead_ttl_ms)
promote(wanted + 10, dead_ttl_ms)
due_timers(10)
free_dependents(FREED, result_ttl_ms)
settle()
send_batches()
collect(2 * wanted)

-- A task with a broken record becomes a dead letter and uses a turn, and so does a user that may not run because the
-- defaults were lowered. The bound keeps a broken ring from looping forever.
local turns = wanted + 5
load_heads(turns + 1, wanted)
local claimed, lease_end, bytes = {claim}, int(now_ms + lease_ms), 0
for _ = 1, turns do
  local id = #claimed <= wanted and bytes <= FULL and pick()
  if not id then break end
  local u = user(id)
  if not u.known and u.r.lane == "" then seat(u) end -- it is in a ring, so its record was lost
  local runs = may_run(u)
  if not runs then unplace(u) end
  local t = runs and take(u, dead_ttl_ms)
  if t then
    grant(u, t, claim, worker, lease_ms, lease_end)
    claimed[#claimed + 1] = t.id
    bytes = bytes + describe(reply, t)
  end
  sync(u)
  put_among_heads(u)
end
if #claimed > 1 then call("SET", claim_key, table.concat(claimed, "\n"), "PX", int(lease_ms)) end
g.next_at = 0 -- an idle worker waits for what is due first, not for a bound that may be too early
save()

if g.next_at == 0 or g.fresh_n > 0 or call("EXISTS", P .. "ready") > 0 then
  wake()
elseif g.next_at > now_ms then
  reply[2], reply[3] = 0, g.next_at == TOP and -1 or g.next_at - now_ms
end
return reply
