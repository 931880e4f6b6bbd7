#!lua flags=allow-oom
--[[ redrive: makes dead letters runnable again, with all their retries and deliveries restored.
  Guarantee: a task that is not a dead letter is left unchanged, so a repeated call changes nothing. Fences keep
  growing.
  KEYS[1] meta
  ARGV[1] result_ttl_ms
  ARGV[2..] for each task: id
  Returns {1, pause_ms, code, state, ...} with two places per task: {1, state} redriven, {2, state} not a dead letter,
    {-2, ''} not found, {-7, state} too many waiting tasks, of the user or of the queue: retry in pause_ms,
    {-8, state} others are still being notified of its end: repeat the call | {-5, what} | {-6, schema}
  Moves: FAILED -> QUEUED,
    DEFERRED -> QUEUED, DEFERRED -> SCHEDULED, DEFERRED -> CANCELED, DEFERRED -> FAILED ]]
--- @include "access"
--- @include "begin"
--- @include "arguments"
--- @include "writes"
--- @include "tasks"
--- @include "user_record"
--- @include "queues"
--- @include "users"
--- @include "enter"
--- @include "retention"
--- @include "dependencies"
--- @include "store"
local MOST_TASKS = 1000

local refused = begin()
if refused then return refused end
local result_ttl_ms = number_at(1)
if not result_ttl_ms or not grouped(1, 1) or #ARGV > 1 + MOST_TASKS then
  return bad_arguments("redrive takes a retention time and 1 to 1000 tasks")
end

local redriven, of_user = 0, {}

local function redrive(t)
  local r = t.r
  local number = (of_user[r.user] or 0) + 1
  redriven, of_user[r.user] = redriven + 1, number
  for _, index in ipairs({"kept", "held", "dead"}) do take_from(index, t.id) end
  drop_key(P .. "p:" .. t.id)
  if r.large then drop_key(P .. "r:" .. t.id) end
  -- The ending that made it a dead letter is still recognized if it is sent again.
  r.state, r.settled = "QUEUED", r.token
  r.fails, r.lost, r.solo, r.cancel, r.ended_at, r.keep, r.watch = nil, nil, nil, nil, nil, nil, nil
  r.result, r.large = nil, nil
  if r.kids then r.told = call("LLEN", P .. "d:" .. t.id) end
  if r.dedup and dedup_holder(r.dedup) then
    r.dedup = nil
  elseif r.dedup then
    call("SET", P .. "dedup:" .. r.dedup, t.id)
  end
  will_write(t)
  local u = user(r.user)
  enter(u, t.id, r.prio or NORMAL, arrival())
end

read_ahead(1, 1)
local reply = {1, 0}
for index = 2, #ARGV do
  local t = task(ARGV[index])
  local r, code = t.r, 1
  if not r.state then
    code = -2
  elseif r.state ~= "FAILED" then
    code = 2
  elseif not has_message(t.id) then
    code = -2
  elseif dependents_pending(t) or call("EXISTS", P .. "w:" .. t.id) == 1 then
    code = -8
  else
    local full = queue_is_full(1) or user_is_full(r.user, (of_user[r.user] or 0) + 1)
    if full then
      code, reply[2] = -7, full[5]
    else
      redrive(t)
    end
  end
  reply[#reply + 1], reply[#reply + 2] = code, r.state or ""
end
count("redriven", redriven)
free_dependents(FREED, result_ttl_ms)
commit()
return reply
