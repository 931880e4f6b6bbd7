-- put_back: a running task returns to the place that it had, or ends where its cancelation was asked for.
local function put_back(t, u, result_ttl_ms)
  if t.cancel then return conclude(t, "CANCELED", '"canceled while it ran"', result_ttl_ms) end
  call("HSET", t.key, "state", "QUEUED")
  enter_at(u, t.id, tonumber(t.prio), tonumber(t.score))
  return "QUEUED"
end
