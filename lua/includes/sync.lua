-- sync: puts a user into the rings where it belongs, after any change; the only code that touches them.
-- Start-time Fair Queueing (Goyal, Vin, Cheng 1996) over users, with a fresh lane and bounded CRITICAL credit.
local BURST = 1000000      -- B: debt in microseconds with which a user still counts as fresh
local CREDIT = 2000000     -- Bc: microseconds that CRITICAL tasks may be served ahead of the fair share
local CRITICAL_RUN = 4     -- C_u: CRITICAL tasks of one user in a row while it has other work
local entered = false      -- whether a user became runnable in this script

local function top(ring) return tonumber(call("ZREVRANGE", P .. ring, 0, 0, "WITHSCORES")[2]) end

-- idle or parked -> runnable. Idle time earns no credit; debt is kept, unless nobody waits: then all is forgiven.
local function activate(u)
  if call("ZCARD", P .. "ready") == 0 and call("ZCARD", P .. "fresh") == 0 then
    g.V = math.max(g.V, top("owe") or 0)
  end
  call("ZREM", P .. "owe", u.id)
  local fresh = u.lane == "" and u.inf == 0 and u.S <= g.V + BURST / u.w
  u.S = math.max(u.S, g.V)
  u.lane = fresh and "F" or "R"
  if fresh then
    g.aseq = g.aseq + 1
    call("ZADD", P .. "fresh", int(g.aseq), u.id)
  end
  entered = true
end

local function deactivate(u)
  if u.lane ~= "" and u.lane ~= "P" then
    call("ZREM", P .. (u.lane == "F" and "fresh" or "ready"), u.id)
    if u.borrows then call("ZREM", P .. "critical", u.id) end
    u.borrows = false
  end
  u.lane = u.pn + u.pc > 0 and "P" or ""
  if u.S > g.V then
    call("ZADD", P .. "owe", string.format("%.17g", u.S), u.id)
  else
    call("ZREM", P .. "owe", u.id)
  end
end

local function sync(u)
  if u.pn + u.pc == 0 then return deactivate(u) end
  if u.lane == "" or u.lane == "P" then activate(u) end
  if u.lane == "R" then call("ZADD", P .. "ready", string.format("%.17g", u.S), u.id) end
  if u.pc > 0 and (u.cs < CRITICAL_RUN or u.pn == 0) then
    call("ZADD", P .. "critical", string.format("%.17g", u.S - CREDIT / u.w), u.id)
    u.borrows = true
  elseif u.borrows then
    call("ZREM", P .. "critical", u.id)
    u.borrows = false
  end
end
