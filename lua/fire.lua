#!lua
--[[ fire: moves schedules from one run to the next, and enqueues the task of the run if there is one.
  Guarantee: a run has at most one task, however often and by whichever scheduler it is fired: a schedule moves only
  from the time and revision that the caller saw, in the same step that stores its task, and the task's id contains its
  time.
  KEYS[1] meta
  ARGV[1] term: of the caller  ARGV[2] result_ttl_ms: how long a schedule without further runs is kept
  ARGV[3..] for each task: schedule, revision, time ('' none computed yet), next ('' none), missed (number),
    missed_last, overlap ('skip' or 'allow'), fire ('' no task, else ms), task, content (as for push, but only an id)
  Returns {1, now_ms, code, next, pause_ms, ...} with three places per schedule: {1, next} fired or moved, {2, next}
    done before, {6, next} no task because the last one has not ended, {-2} no such schedule, {-10} another revision,
    {-12, next} too early, {-7, next, pause_ms} too many waiting tasks | {-1, term} a later leader exists | {-5, what} |
    {-6, schema}
  Moves: NEW -> QUEUED ]]
--- @include "access"
--- @include "begin"
--- @include "arguments"
--- @include "writes"
--- @include "task_record"
--- @include "tasks"
--- @include "user_record"
--- @include "enter"
--- @include "store"
--- @include "schedule_record"
--- @include "schedules"
--- @include "verification"
local STRIDE, TASK = 10, 8 -- where the task's two arguments begin in a group
local MOST, MOST_BYTES = 200, 4194304 -- calls/fire.py has the same

-- Returns a group of arguments as a table, or nil if it is malformed.
local function group_at(first)
  local at, following, missed, fire_ms = ARGV[first + 2], ARGV[first + 3], number_at(first + 4), ARGV[first + 7]
  local move = {
    first = first, id = id_at(first), revision = number_at(first + 1), at = number_at(first + 2),
    following = number_at(first + 3), missed = missed, missed_last = number_at(first + 5),
    fire_ms = number_at(first + 7),
  }
  if not move.id or not move.revision or not missed or not move.missed_last or (at ~= "" and not move.at)
    or (following ~= "" and not move.following) or (fire_ms ~= "" and not move.fire_ms)
    or (move.at and move.following and move.following <= move.at) or (missed > 0 and not move.at) then
    return nil
  end
  if fire_ms == "" then return move end
  local id = "schedule:" .. ARGV[first] .. ":" .. fire_ms
  move.task = ARGV[first + TASK] == id and task_at(first + TASK)
  if move.at and move.task then return move end
end

local refused = begin()
if refused then return refused end
local term, result_ttl_ms = number_at(1), number_at(2)
if not term or not result_ttl_ms or not grouped(2, STRIDE) or #ARGV > 2 + MOST * STRIDE then
  return bad_arguments("fire takes a term, a retention time, and 10 arguments each for 1 to 200 schedules")
end
local keys, ids, owners, moves, total = {}, {}, {}, {}, 0
for first = 3, #ARGV, STRIDE do
  local move = group_at(first)
  if not move then return bad_arguments("a time of a schedule is malformed: " .. ARGV[first]) end
  moves[#moves + 1] = move
  keys[#keys + 1] = P .. "schedule:" .. move.id
  if move.fire_ms then
    ids[#ids + 1] = move.task.id
    owners[#owners + 1] = move.task.user
    total = total + move.task.size
  end
end
if total > MOST_BYTES then return bad_arguments("the messages of one call have more than 4 MiB") end
local ruling = whole(call("HGET", P .. "lock", "term")) or 0
if ruling > term then return {-1, ruling} end

read_schedules(keys)
read_tasks(ids)
read_users(owners)
local stored, of_user = 0, {} -- numbers of tasks stored by this call

-- Returns the code, and the delay if the task must wait.
local function fire(s, move)
  local given, owner = move.task, move.task.user
  if move.fire_ms > wall_ms then return -12 end
  if ARGV[move.first + 6] == "skip" and last_one_runs(s) then return 6 end
  if task(given.id).r.state then return 2 end
  local full = queue_is_full(1) or user_is_full(owner, (of_user[owner] or 0) + 1)
  if full then return -7, full[5] end
  stored, of_user[owner] = stored + 1, (of_user[owner] or 0) + 1
  local parents = {root_at = now, ids = {}}
  store({given = given, state = "QUEUED", owner = owner, priority = given.prio, parents = parents}, result_ttl_ms)
  return 1
end

local reply, size = {1, int(wall_ms)}, 2
for _, move in ipairs(moves) do
  local s = schedule(move.id)
  local code, pause = 1, 0
  if not s.r.rev then
    code = -2
    lose(s.id)
  elseif s.r.rev ~= move.revision or not s.r.on then
    code = -10
  elseif s.r.next ~= move.at then
    code = 2
  else
    if move.fire_ms then code, pause = fire(s, move) end
    if code > 0 then move_on(s, move, code, result_ttl_ms, term) end
  end
  reply[size + 1], reply[size + 2], reply[size + 3] = code, s.r.next and int(s.r.next) or "", pause or 0
  size = size + 3
end
place_schedules()
write_schedules()
commit()
return reply
