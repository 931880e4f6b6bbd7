#!lua flags=allow-oom
--[[ verify_tasks: checks that tasks are in the indexes of their states, and have their messages.
  Guarantee: each task is checked and fixed in one step, so it is safe while the queue is in use.
  KEYS[1] meta
  ARGV[1] fix: 1 fixes the findings, 0 only reports them  ARGV[2] dead_ttl_ms  ARGV[3] result_ttl_ms
  ARGV[4] lease_ms: the lease given to a running task that has none
  ARGV[5..] for each task: id
  Returns {1, kind, name, what, fixed, ...} with four places per finding | {-5, what} | {-6, schema}
  Moves: SCHEDULED -> FAILED, QUEUED -> FAILED, DEFERRED -> FAILED,
    DEFERRED -> QUEUED, DEFERRED -> SCHEDULED, DEFERRED -> CANCELED ]]
--- @include "access"
--- @include "begin"
--- @include "arguments"
--- @include "writes"
--- @include "task_record"
--- @include "tasks"
--- @include "user_record"
--- @include "queues"
--- @include "users"
--- @include "enter"
--- @include "endings"
--- @include "dependencies"
--- @include "verification"
local refused = begin()
if refused then return refused end
local dead_ttl_ms, result_ttl_ms, lease_ms = number_at(2), number_at(3), number_at(4)
if not begin_verification() or not dead_ttl_ms or not result_ttl_ms or not lease_ms or not grouped(4, 1) then
  return bad_arguments("verify_tasks takes 0 or 1, two retention times, a lease and tasks")
end

local function repair(kind, t, what, change)
  found(kind, t.id, "it is " .. t.r.state .. " and " .. what, fix)
  if fix then change() end
end

local look = {
  QUEUED = function(t)
    local place = score((t.r.prio == CRITICAL and "c:" or "z:") .. t.r.user, t.id)
    if place and between(place, -TOP, TOP) or not place and in_queue(t) then return end
    repair("nowhere", t, place and "in no place of its queue" or "in no queue", function()
      local u = user(t.r.user)
      if place then
        leave_queue(u, t)
        count("queued", 1)
      end
      enter_at(u, t.id, t.r.prio or NORMAL, t.r.score or arrival(u))
      count("queued", -1) -- it was counted when it entered the queue
    end)
  end,
  STARTED = function(t)
    if whole(score("running", t.id)) then return end
    repair("lease", t, "has no lease", function() add_to("running", int(now_ms + lease_ms), t.id) end)
  end,
  SCHEDULED = function(t)
    local due_ms, by_user = whole(score("delayed", t.id)), whole(score("s:" .. t.r.user, t.id))
    if due_ms and by_user then return end
    repair("nowhere", t, "not in both indexes of delayed tasks", function()
      delay(t.id, t.r.user, due_ms or by_user or (t.r.at or wall_ms) + shift_ms)
    end)
  end,
  DEFERRED = function(t)
    if not whole(score("deferred", t.id)) or score("s:" .. t.r.user, t.id) ~= math.huge then
      repair("nowhere", t, "not in both indexes of tasks that wait for others", function()
        add_to("deferred", int(math.floor(t.r.pushed_at / 1000)), t.id)
        add_to("s:" .. t.r.user, "+inf", t.id)
      end)
    elseif t.r.open < 1 then
      repair("dependents", t, "waits for no other task", function()
        t.r.open = 1
        free(t.id, "", true, result_ttl_ms)
      end)
    end
  end,
}

local function look_at_ended(t)
  if t.r.large and call("EXISTS", P .. "r:" .. t.id) == 0 then
    found("result", t.id, "its result is gone: a request for it gets the error that it has expired", false)
  end
  local index = t.r.keep and "held" or "kept"
  if not whole(score(index, t.id)) then
    repair("nowhere", t, "would never be forgotten", function()
      add_to(index, int(now_ms + (t.r.state == "FAILED" and dead_ttl_ms or result_ttl_ms)), t.id)
    end)
  end
  if t.r.state == "FAILED" and score("dead", t.id) ~= t.r.ended_at then
    repair("nowhere", t, "not among the dead letters", function()
      add_to("dead", int(t.r.ended_at or now_ms), t.id)
    end)
  end
end

read_ahead(4, 1)
for first = 5, #ARGV do
  local t = task(ARGV[first])
  local state = t.r.state
  if not state then
    if ARGV[first] ~= "" and (unreadable_tasks[t.id] or call("EXISTS", P .. "t:" .. t.id) == 1) then
      found("record", t.id, "its record cannot be read", fix)
      if fix then bury(t, "", "the key of its record", dead_ttl_ms) end
    end
  elseif not look[state] then
    look_at_ended(t)
  elseif t.bare or has_message(t.id) then
    look[state](t)
  elseif state == "STARTED" then
    look[state](t)
    found("message", t.id, "its message is gone; what becomes of it is known when its attempt has ended", false)
  else
    repair("message", t, "its message is gone", function() leave_waiting(t, dead_ttl_ms) end)
  end
end
if fix then commit() end
return all_found()
