-- cost: what tasks cost their users: their run time, or one each. An estimate is charged when a task starts, and the
-- difference to its real run time when it ends.
local MIN_CHARGE = 1000 -- microseconds charged for the shortest task

local function estimate(u, cost, lease_ms)
  if counted then return 1 end
  local longest = lease_ms * 1000 / 3
  -- Whole, so that the charge can be reversed exactly.
  return math.floor(math.max(MIN_CHARGE, math.min(longest, cost or u.r.ewma or g.est0)))
end

-- `ran` is in microseconds, or nil if the lease expired: then the charge so far is kept.
local function settle_cost(u, t, ran)
  local r, charged = u.r, t.r.charged
  if counted or not ran then
    r.served = math.min(TOP - 1, r.served + charged)
    return
  end
  local spent = math.max(MIN_CHARGE, math.min(ran, now - started_at(t)))
  r.S, r.served = r.S + (spent - charged) / u.w, math.min(TOP - 1, r.served + spent)
  r.ewma = math.floor((r.ewma or spent) + (spent - (r.ewma or spent)) / 8)
  g.est0 = g.est0 + (spent - g.est0) / 8
end
