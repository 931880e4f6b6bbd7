-- leave_running: the one way out of STARTED, for finish, fail, release and lease expiry. It settles what the task cost.
--- @include "cost"

-- `ran` in microseconds by the worker's monotonic clock, or nil when the lease expired.
local function leave_running(t, ran)
  take_from("running", t.id)
  local u = user(t.r.user)
  settle_cost(u, t, ran)
  u.r.inf = math.max(0, u.r.inf - 1)
  return u
end
