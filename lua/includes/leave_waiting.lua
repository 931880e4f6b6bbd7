-- leave_waiting: makes a waiting task whose message is missing or unreadable a dead letter.
local function leave_waiting(t, dead_ttl_ms)
  local r = t.r
  if r.state == "QUEUED" then
    leave_queue(user(r.user), t)
  elseif r.state == "SCHEDULED" then
    undelay(t.id, r.user)
  else
    undefer(t)
  end
  local gone = set_aside(P .. "t:" .. t.id) and "cannot be read and was set aside" or "is gone"
  local error_of = '{"type":"BrokenRecord","reason":"broken","error":"its message ' .. gone .. '"}'
  conclude(t, "FAILED", error_of, dead_ttl_ms)
end
