-- sync: decides after any change in which rings a user belongs. No other code does; commit writes the result.
-- Start-time Fair Queueing (Goyal, Vin, Cheng 1996) over users, with a fresh lane and bounded CRITICAL credit.
local entered = false      -- whether this script made work for an idle worker
--- @include "waits"
--- @include "timers"
--- @include "activate"
--- @include "deactivate"

-- Whether the user's next task is one of its CRITICAL ones.
local function critical_next(u) return u.pc > 0 and ((u.r.cs or 0) < CRITICAL_RUN or u.pn == 0) end

local function may_run(u)
  return waits(u) and not u.paused and (not u.cap or u.r.inf < u.cap) and (not u.rate or next_start(u) <= now)
end

local function sync(u)
  if u.pn == 0 and u.r.tombstones then drop_tombstones(u) end
  if may_run(u) then
    entered = entered or u.gained
    if u.r.lane == "" or u.r.lane == "P" then activate(u) end
    if u.pn then u.r.borrows = critical_next(u) or nil end
  else
    deactivate(u)
  end
  u.synced, u.anew = true, false
  synced[#synced + 1] = u
end
