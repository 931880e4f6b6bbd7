-- activate: an idle or parked user becomes runnable. Idle time earns no credit; debt is kept, unless nobody waits: then
-- all is forgiven.
local BURST = 1000000      -- B: debt in microseconds with which a user still counts as fresh
local entered = false      -- whether a user or a task became runnable in this script

local function top(ring) return tonumber(call("ZREVRANGE", P .. ring, 0, 0, "WITHSCORES")[2]) end

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
