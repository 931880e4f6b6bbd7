-- grant: starts one task of a user: charges an estimate in advance and grants the lease.
--- @include "take"
--- @include "cost"

-- The fence is the start time, so it keeps growing after a failover that rolled the record back. The first attempts of
-- all tasks of a pop have the same fence.
local first_token

local function new_token(t, claim)
  local fence = t.r.token and started_at(t) + 1 or now
  if fence > now then return int(fence) .. ":" .. claim end
  first_token = first_token or int(now) .. ":" .. claim
  return first_token
end

local function grant(u, t, claim, worker, lease_ms, lease_end)
  local of_user, r = u.r, t.r
  local charge = estimate(u, r.cost, lease_ms)
  if of_user.lane == "F" then
    -- Time spent among many new users earns nothing either, or it would all be made up for at once.
    of_user.lane, of_user.S, moved = "R", math.max(of_user.S, g.V), moved - 1
  end
  take_turn(u)
  of_user.S, of_user.inf = of_user.S + charge / u.w, of_user.inf + 1
  if u.rate then spend_start(u) end
  r.state, r.token, r.charged = "STARTED", new_token(t, claim), charge
  r.attempt, r.worker = (r.attempt or 0) + 1, worker
  will_write(t)
  add_to("running", lease_end, t.id)
end
