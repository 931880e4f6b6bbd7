-- reclaim: takes back at most `most` tasks whose lease has expired. After its last lost lease a task becomes a dead
-- letter. Before that it is marked solo, so that a task that kills its worker does not kill other tasks again. Returns
-- the tasks, in four places each: task, user, worker, state; and how many it checked.
--- @include "bury"
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
