-- sync: puts a user into the rings where it belongs, after any change; the only code that touches them.
-- Start-time Fair Queueing (Goyal, Vin, Cheng 1996) over users, with a fresh lane and bounded CRITICAL credit.
--- @include "activate"
--- @include "deactivate"
local CREDIT = 2000000     -- Bc: microseconds that CRITICAL tasks may be served ahead of the fair share
local CRITICAL_RUN = 4     -- C_u: CRITICAL tasks of one user in a row while it has other work

-- Whether the user's next task is one of its CRITICAL ones.
local function critical_next(u) return u.pc > 0 and (u.cs < CRITICAL_RUN or u.pn == 0) end

local function sync(u)
  if u.pn + u.pc == 0 then return deactivate(u) end
  if u.lane == "" or u.lane == "P" then activate(u) end
  if u.lane == "R" then call("ZADD", P .. "ready", string.format("%.17g", u.S), u.id) end
  if critical_next(u) then
    call("ZADD", P .. "critical", string.format("%.17g", u.S - CREDIT / u.w), u.id)
    u.borrows = true
  elseif u.borrows then
    call("ZREM", P .. "critical", u.id)
    u.borrows = false
  end
end
