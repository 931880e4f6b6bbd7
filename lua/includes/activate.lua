-- activate: an idle or parked user becomes runnable. It joins at the place of the next user to be served: idle time
-- earns no credit, and service used while no other user waited costs nothing. Debt is kept, unless no user waits. A
-- user held back only by its cap or its rate was not idle: it keeps its place, see leeway.
--- @include "leeway"
local fresh_before, moved = nil, 0 -- users in the fresh ring before this script, counted on demand; its changes to it
local synced, placed = {}, 0       -- users in the order of their sync; how many of these are stored

local function nobody_is_fresh()
  fresh_before = fresh_before or call("ZCARD", P .. "fresh")
  return fresh_before + moved == 0
end

local function place_synced()
  while placed < #synced do
    placed = placed + 1
    place(synced[placed])
  end
  send_index("ready")
  send_index("owe")
end

-- The tag of the user that is served next, or the largest debt if no user waits; V for a user that was not idle.
local function next_tag(stayed)
  place_synced()
  local head = first_score("ready")
  if head < TOP then return stayed and g.V or head end
  return between(call("ZREVRANGE", P .. "owe", 0, 0, "WITHSCORES")[2], -TOP, TOP) or 0
end

local function activate(u)
  local stays = u.r.lane == "P" and not u.anew
  if nobody_is_fresh() then g.V = math.max(g.V, next_tag(stays)) end
  local burst = counted and 8 or 1000000 -- B: the largest debt with which a user counts as fresh
  local fresh = u.r.lane == "" and u.r.inf == 0 and u.r.S <= g.V + burst / u.w
  count_waiting(u)
  u.r.S = math.max(u.r.S, stays and kept_place(u) or g.V)
  u.r.lane = fresh and "F" or "R"
  if fresh then g.aseq, u.arrival, moved = g.aseq + 1, g.aseq + 1, moved + 1 end
  entered = true
end
