-- reclaim: takes back tasks whose lease has expired, at most `limit`. After its last delivery a task becomes a dead
-- letter; before, it is marked solo, so that a task that kills its worker takes no neighbour with it the next time.
local function reclaim(limit, max_deliveries, result_ttl_ms, dead_ttl_ms)
  local expired = call("ZRANGEBYSCORE", P .. "running", "-inf", int(now_ms), "LIMIT", 0, limit)
  for _, id in ipairs(expired) do
    local t = running_task(id)
    if t.state ~= "STARTED" then
      running_out[#running_out + 1] = id
    else
      add_history(t)
      local u = leave_running(t, nil)
      count("expired", 1)
      local lost = (tonumber(t.lost) or 0) + 1
      if lost >= max_deliveries and not t.cancel then
        conclude(t, "FAILED", cjson.encode({
          type = "WorkerLost", reason = "deliveries", worker = t.worker or "", attempts = tonumber(t.attempt),
          error = "its worker stopped reporting " .. lost .. " times",
        }), dead_ttl_ms)
      else
        call("HSET", t.key, "solo", "1", "lost", lost)
        put_back(t, u, result_ttl_ms)
      end
      -- The token is void now: a late ending is refused. Its fence stays, so that the next one is above it.
      call("HSET", t.key, "token", string.match(t.token, "^%d+") .. ":")
    end
  end
  return #expired
end
