-- leave_running: the one way out of STARTED, for finish, fail, release and lease expiry. It settles the charge:
-- what the task really took, by the worker's monotonic clock, replaces what was charged before.
local MIN_CHARGE = 1000 -- microseconds that the shortest task costs

-- `ran` in microseconds, or nil when the lease expired: then what was charged by then stands.
local function leave_running(t, ran)
  call("ZREM", P .. "running", t.id)
  local u = user(t.user)
  local charged = tonumber(t.charged) or 0
  if ran then
    local spent = math.max(MIN_CHARGE, math.min(ran, now - (tonumber(t.st) or now)))
    u.S = u.S + (spent - charged) / u.w
    u.ewma = (u.ewma or spent) + (spent - (u.ewma or spent)) / 8
    g.est0 = g.est0 + (spent - g.est0) / 8
  end
  u.inf = math.max(0, u.inf - 1)
  return u
end
