-- leave_waiting: makes a waiting task whose message is missing a dead letter.
local function leave_waiting(t, dead_ttl_ms)
  local r = t.r
  if r.state == "QUEUED" then
    leave_queue(user(r.user), t.id)
  elseif r.state == "SCHEDULED" then
    undelay(t.id, r.user)
  else
    undefer(t)
  end
  conclude(t, "FAILED", '{"type":"BrokenRecord","reason":"broken","error":"its message is gone"}', dead_ttl_ms)
end
