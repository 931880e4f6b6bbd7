-- activate: an idle or parked user becomes runnable. Idle time earns no credit; debt is kept, unless nobody waits:
-- then all is forgiven.
local runnable, moved = nil, 0 -- users in the rings before this script, counted when asked; what it changed of that

local function nobody_waits()
  runnable = runnable or call("ZCARD", P .. "ready") + call("ZCARD", P .. "fresh")
  return runnable + moved == 0
end

local function top_debt()
  for _, u in ipairs(touched) do
    if u.synced then place_debt(u) end
  end
  send_index("owe")
  return tonumber(call("ZREVRANGE", P .. "owe", 0, 0, "WITHSCORES")[2]) or 0
end

local function activate(u)
  if nobody_waits() then g.V = math.max(g.V, top_debt()) end
  local burst = counted and 8 or 1000000 -- B: the debt with which a user still counts as fresh
  local fresh = u.r.lane == "" and u.r.inf == 0 and u.r.S <= g.V + burst / u.w
  count_waiting(u)
  u.r.S = math.max(u.r.S, g.V)
  u.r.lane = fresh and "F" or "R"
  if fresh then
    g.aseq = g.aseq + 1
    u.arrival = g.aseq
  end
  moved = moved + 1
  entered = true
end
