-- put_back: returns a running task to its previous place, or cancels it if a cancelation was requested.
local function put_back(t, u, result_ttl_ms)
  if t.r.cancel then return conclude(t, "CANCELED", '"canceled while it ran"', result_ttl_ms) end
  t.r.state = "QUEUED"
  will_write(t)
  enter_at(u, t.id, t.r.prio or NORMAL, t.r.score)
  return "QUEUED"
end
