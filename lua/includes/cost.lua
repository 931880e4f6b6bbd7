-- cost: what tasks cost their users: their time, or one each. An estimate is charged when a task starts, and the
-- difference to what it really took when it ends.
local MIN_CHARGE = 1000 -- microseconds that the shortest task costs

local function estimate(u, cost, lease_ms)
  if counted then return 1 end
  local longest = lease_ms * 1000 / 3
  -- Whole, since the record of the task holds it whole: what is charged here is taken back to the last microsecond.
  return math.floor(math.max(MIN_CHARGE, math.min(longest, tonumber(cost) or u.ewma or g.est0)))
end

-- `ran` in microseconds; nil when the lease expired: then what was charged by then stands.
local function settle_cost(u, t, ran)
  local charged = tonumber(t.charged) or 0
  if counted or not ran then
    u.served = u.served + charged
    return
  end
  local spent = math.max(MIN_CHARGE, math.min(ran, now - started_at(t)))
  u.S = u.S + (spent - charged) / u.w
  u.served = u.served + spent
  u.ewma = math.floor((u.ewma or spent) + (spent - (u.ewma or spent)) / 8)
  g.est0 = g.est0 + (spent - g.est0) / 8
end
