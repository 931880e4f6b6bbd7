-- finish: ends attempts as successes.
--- @include "arguments"
--- @include "writes"
--- @include "tasks"
--- @include "user_record"
--- @include "users"
--- @include "sync"
--- @include "endings"
--- @include "attempts"
--- @include "retention"

-- Whether a token is valid. 1: it holds the task. 2: it ended this attempt before. -1: it lost it. -2: no such
-- task.
local function holds(t, token)
  local r = t.r
  if not r.state then return -2 end
  if r.state == "STARTED" and r.token == token then return 1 end
  if r.settled == token or (r.state ~= "STARTED" and r.token == token) then return 2 end
  count("stale", 1)
  return -1
end

-- The answers of finish, fail and release, which end many attempts in one call. `ending(t, first)` ends the
-- attempt of a task that the caller holds, with the arguments from `first` on, and returns the task's new state.
local function endings(head, stride, ending)
  read_ahead(head, stride)
  local reply, size = {1}, 1
  for first = head + 1, #ARGV, stride do
    local t = task(ARGV[first])
    local code = holds(t, ARGV[first + 1])
    reply[size + 1], reply[size + 2] = code, code == 1 and ending(t, first) or t.r.state or ""
    size = size + 2
  end
  return reply
end

-- Returns what is wrong with the run times, the third argument of each task, or nil.
local function bad_times(head, stride)
  for first = head + 1, #ARGV, stride do
    if not number_at(first + 2) then return bad_arguments("the time of task " .. ARGV[first] .. " is not a number") end
  end
end

local ENDING = 5 -- id, token, ran_us, result, xcom

-- Ends attempts that returned, whose groups of arguments follow `head` others. Returns the answer of finish; afterwards
-- the caller notifies dependents.
local function finish(head, result_ttl_ms)
  local reply = endings(head, ENDING, function(t, first)
    leave_running(t, number_at(first + 2))
    return conclude(t, "FINISHED", ARGV[first + 3], result_ttl_ms, ARGV[first + 4])
  end)
  trim(2 * (#ARGV - head) / ENDING)
  -- Users that come later in the same call begin behind the debts of these.
  for _, u in ipairs(touched) do
    sync(u)
    u.synced = false
  end
  return reply
end
