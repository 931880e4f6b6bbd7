-- reclaim: takes back tasks whose lease has expired, at most `most`. After its last delivery a task becomes a dead
-- letter; before, it is marked solo, so that a task that kills its worker takes no neighbour with it the next time.
--- @include "bury"
local function reclaim(most, max_deliveries, result_ttl_ms, dead_ttl_ms)
  local expired = call("ZRANGEBYSCORE", P .. "running", "-inf", int(now_ms), "LIMIT", 0, most)
  for _, id in ipairs(expired) do
    local t = task(id)
    local r = t.r
    if r.state ~= "STARTED" then
      take_from("running", id)
      if not r.state then bury(t, "", "the index of running tasks", dead_ttl_ms) end
    else
      local u = leave_running(t, nil)
      count("expired", 1)
      r.lost = (r.lost or 0) + 1
      if r.lost >= max_deliveries and not r.cancel then
        conclude(t, "FAILED", cjson.encode({
          type = "WorkerLost", reason = "deliveries", worker = r.worker, attempts = r.attempt,
          error = "its worker stopped reporting " .. r.lost .. " times",
        }), dead_ttl_ms)
      else
        r.solo = true
        put_back(t, u, result_ttl_ms)
      end
      -- The token is void now: a late ending is refused. Its fence stays, so that the next one is above it.
      r.token = int(started_at(t)) .. ":"
    end
  end
  return #expired
end
