#!lua
--[[ fire: brings schedules from one of their times to the next, each with a task or without.
  Guarantee: a time has one task at most, whoever fires it and how often: a schedule moves only from the time and the
  revision that the caller saw, in the same step in which its task is stored, and the task's id holds both.
  KEYS[1] meta
  ARGV[1] term: of the caller  ARGV[2] result_ttl_ms: how long a schedule without further times is kept
  ARGV[3..] for each task: schedule, revision, time ('' none computed yet), next ('' none), missed (number),
    missed_last, overlap ('skip' or 'allow'), fire ('' no task, else ms), id, user, priority, due, timeout_ms, cost_us,
    dedup, dedup_ttl_ms, digest, parents, message
  Returns {1, now_ms, code, next, pause_ms, ...} with three places a schedule: {1, next} fired or moved, {2, next} that
    was before, {6, next} no task since the last one has not ended, {-2} no such schedule, {-10} another revision,
    {-12, next} too early, {-7, next, pause_ms} too many tasks wait | {-1, term} a later leader rules | {-5, what}
    | {-6, schema}
  Moves: NEW -> QUEUED ]]
--- @include "begin"
--- @include "arguments"
--- @include "counts"
--- @include "batch"
--- @include "globals"
--- @include "user"
--- @include "sync"
--- @include "enter"
--- @include "wake"
--- @include "delay"
--- @include "commit"
--- @include "task"
--- @include "backlog"
--- @include "conclude"
--- @include "task_at"
--- @include "store"
--- @include "schedules"
--- @include "move_on"
local STRIDE, TASK = 19, 8 -- the task's eleven arguments begin so far into a group
local MOST, MOST_BYTES = 200, 4194304 -- calls/fire.py has the same
local TERMINAL = {FINISHED = true, FAILED = true, CANCELED = true}

local function malformed(first)
  local at, following, fire_ms = number_at(first + 2), number_at(first + 3), number_at(first + 7)
  if not id_at(first) or not number_at(first + 1) or not number_at(first + 4) or not number_at(first + 5)
    or (ARGV[first + 2] ~= "" and not at) or (ARGV[first + 3] ~= "" and not following)
    or (at and following and following <= at) or (ARGV[first + 7] ~= "" and not fire_ms) then
    return true
  end
  local id = format("schedule:%s:%s", ARGV[first], ARGV[first + 7])
  if not at and (number_at(first + 4) > 0 or fire_ms) then return true end
  return fire_ms and (not task_at(first + TASK) or ARGV[first + TASK] ~= id)
end

local refused = begin()
if refused then return refused end
local term, result_ttl_ms = number_at(1), number_at(2)
if not term or not result_ttl_ms or not grouped(2, STRIDE) or #ARGV > 2 + MOST * STRIDE then
  return bad_arguments("fire takes a term, a time of keeping, and 19 arguments each for 1 to 200 schedules")
end
local keys, total = {}, 0
for first = 3, #ARGV, STRIDE do
  if malformed(first) then return bad_arguments("a time of a schedule is malformed: " .. ARGV[first]) end
  keys[#keys + 1] = P .. "schedule:" .. ARGV[first]
  if ARGV[first + 7] ~= "" then
    keys[#keys + 1], keys[#keys + 2] = P .. "t:" .. ARGV[first + TASK], P .. "u:" .. ARGV[first + TASK + 1]
  end
  total = total + #ARGV[first + STRIDE - 1]
end
if total > MOST_BYTES then return bad_arguments("the messages of one call have more than 4 MiB") end
local ruling = tonumber(call("HGET", P .. "lock", "term") or 0)
if ruling > term then return {-1, ruling} end

read_records(keys)
load_globals()
local stored, of_user = 0, {} -- numbers of tasks that this call has stored

local function last_one_runs(s)
  local last = s.r.last and task(format("schedule:%s:%s", s.id, int(s.r.last))).r.state
  return last and not TERMINAL[last]
end

-- Code, and the pause when the task must wait.
local function fire(s, first, fire_ms)
  local owner = ARGV[first + TASK + 1]
  if fire_ms > now_ms then return -12 end
  if ARGV[first + 6] == "skip" and last_one_runs(s) then return 6 end
  if task(ARGV[first + TASK]).r.state then return 2 end
  local full = queue_is_full(stored + 1) or user_is_full(owner, (of_user[owner] or 0) + 1)
  if full then return -7, full[5] end
  stored, of_user[owner] = stored + 1, (of_user[owner] or 0) + 1
  store({
    first = first + TASK, state = "QUEUED", owner = owner, priority = number_at(first + TASK + 2),
    parents = {root_at = now, ids = {}},
  }, result_ttl_ms)
  return 1
end

local reply = {1, int(now_ms)}
for first = 3, #ARGV, STRIDE do
  local s = schedule(ARGV[first])
  local code, pause, fire_ms = 1, 0, number_at(first + 7)
  if not s.r.rev then
    code = -2
  elseif s.r.rev ~= number_at(first + 1) or not s.r.on then
    code = -10
  elseif s.r.next ~= number_at(first + 2) then
    code = 2
  else
    if fire_ms then code, pause = fire(s, first, fire_ms) end
    if code > 0 then
      move_on(s, code, fire_ms, number_at(first + 3), number_at(first + 4), number_at(first + 5), result_ttl_ms)
    end
  end
  reply[#reply + 1], reply[#reply + 2] = code, s.r.next and int(s.r.next) or ""
  reply[#reply + 1] = pause or 0
end
place_schedules()
commit()
return reply
