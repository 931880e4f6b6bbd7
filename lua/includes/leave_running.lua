-- leave_running: the only transition out of STARTED, for finish, fail, release and lease expiry. It settles the task's
-- cost.
--- @include "cost"

-- `ran` in microseconds by the worker's monotonic clock, or nil if the lease expired.
local function leave_running(t, ran)
  take_from("running", t.id)
  local u = user(t.r.user)
  settle_cost(u, t, ran)
  u.r.inf = math.max(0, u.r.inf - 1)
  return u
end
