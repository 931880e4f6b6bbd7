-- due: makes tasks runnable whose time has come or whose lease has expired.
--- @include "access"
--- @include "begin"
--- @include "writes"
--- @include "tasks"
--- @include "queues"
--- @include "users"
--- @include "enter"
--- @include "endings"
--- @include "attempts"

-- Makes at most `most` due tasks runnable, with their due time as time of entry. If the server's clock was set
-- back, a task with a fixed moment waits for it on the server's clock.
local function promote(most, dead_ttl_ms)
  local due = call("ZRANGEBYSCORE", P .. "delayed", "-inf", int(now_ms), "WITHSCORES", "LIMIT", 0, most)
  for index = 1, #due, 2 do
    local id, due_ms = due[index], between(due[index + 1], 0, TOP / 1000) or now_ms
    local t = task(id)
    undelay(id, t.r.user or "")
    if t.r.state == "SCHEDULED" and t.r.at and t.r.at > wall_ms then
      delay(id, t.r.user, t.r.at + shift_ms)
    elseif t.r.state == "SCHEDULED" then
      t.r.state, t.r.at = "QUEUED", nil
      will_write(t)
      enter(user(t.r.user), id, t.r.prio or NORMAL, due_ms * 1000)
    elseif record_lost(t) then
      bury(t, "", "the index of delayed tasks", dead_ttl_ms)
    end
  end
  return #due / 2
end

-- Takes back at most `most` tasks whose lease has expired. After its last lost lease a task becomes a dead
-- letter. Before that it is marked solo, so that a task that kills its worker does not kill other tasks again. Returns
-- the tasks, in four places each: task, user, worker, state; and how many it checked.
local function reclaim(most, max_lost, result_ttl_ms, dead_ttl_ms)
  local expired = call("ZRANGEBYSCORE", P .. "running", "-inf", int(now_ms), "LIMIT", 0, most)
  local told = {}
  for _, id in ipairs(expired) do
    local t = task(id)
    local r, size = t.r, #told
    local state = r.state
    if state ~= "STARTED" then
      take_from("running", id)
      state = record_lost(t) and bury(t, "", "the index of running tasks", dead_ttl_ms)
    else
      local u = leave_running(t, nil)
      count("expired", 1)
      r.lost = (r.lost or 0) + 1
      if r.lost >= max_lost and not r.cancel then
        state = conclude(t, "FAILED", cjson.encode({
          type = "WorkerLost", reason = "deliveries", worker = r.worker, attempts = r.attempt,
          error = "its worker stopped reporting " .. r.lost .. " times",
        }), dead_ttl_ms)
      else
        r.solo = true
        state = put_back(t, u, result_ttl_ms)
      end
      -- The token is now invalid: a late ending is refused. Its fence is kept, so that the next one is above it.
      r.token = int(started_at(t)) .. ":"
    end
    if state then
      told[size + 1], told[size + 2], told[size + 3], told[size + 4] = id, t.r.user, t.r.worker or "", state
    end
  end
  return told, #expired
end
