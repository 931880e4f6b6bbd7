-- sync: decides after any change in which rings a user belongs. No other code does.
--- @include "access"
--- @include "begin"
--- @include "writes"
--- @include "user_record"
--- @include "rings"
--- @include "users"

local has_work = false -- whether this script made work for an idle worker

-- An idle worker is to be woken, or to shorten its wait.
local function note_work() has_work = true end

-- How far behind V a user held back by its cap or its rate may be. V may have passed it only because other
-- users have longer tasks, which must not cost it its share; but a user must not save up credit while a limit binds.
local PATIENCE = 16 -- after V advanced by this many leeways, a user whose place was cut, and that has not had to wait
                    -- since, counts as one whose limit binds

local function leeway(u) return u.r.leeway or (counted and 8 or 10000000) end -- K, the initial value

-- The smallest tag with which the user returns.
local function kept_place(u)
  local r = u.r
  local most = leeway(u) / u.w
  if g.V - r.S > most then
    if not r.cut then
      r.cut = g.V
    elseif g.V - r.cut > PATIENCE * leeway(u) / u.w then
      r.leeway = nil
      most = leeway(u) / u.w
    end
  end
  return g.V - most
end

-- The user is served. A tag of at least V means that it had to wait for others. Soon after its place was cut, this
-- shows that no limit held it back and its leeway was too small; much later, that its limit no longer binds. Without a
-- cap the leeway does not grow: whether a rate binds depends on the length of the user's tasks, so a user could save up
-- credit with tiny tasks, and then take all workers with long ones.
local function take_turn(u)
  local r = u.r
  if not r.cut or r.S < g.V then return end
  if u.cap and g.V - r.cut <= PATIENCE * leeway(u) / u.w then r.leeway = 2 * leeway(u) end
  r.cut = nil
end

-- An operator changed the limits of the user: the time until now earns nothing.
local function start_over(u)
  u.r.S, u.r.leeway, u.r.cut, u.anew = math.max(u.r.S, g.V), nil, nil, true
end

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

-- An idle or parked user becomes runnable. It joins at the place of the next user to be served: idle time earns no
-- credit, and service used while no other user waited costs nothing. Debt is kept, unless no user waits. A user held
-- back only by its cap or its rate was not idle: it keeps its place, see leeway.
local function activate(u)
  local stays = u.r.lane == "P" and not u.anew
  if nobody_is_fresh() then g.V = math.max(g.V, next_tag(stays)) end
  local burst = counted and 8 or 1000000 -- B: the largest debt with which a user counts as fresh
  local fresh = u.r.lane == "" and u.r.inf == 0 and u.r.S <= g.V + burst / u.w
  count_waiting(u)
  u.r.S = math.max(u.r.S, stays and kept_place(u) or g.V)
  u.r.lane = fresh and "F" or "R"
  if fresh then g.aseq, u.arrival, moved = g.aseq + 1, g.aseq + 1, moved + 1 end
  note_work()
end

-- Takes a user that has no work, or is paused, capped or limited, out of the rings; its debt is kept.
local function deactivate(u)
  local r = u.r
  if r.lane == "F" then moved = moved - 1 end
  r.borrows = nil
  if not waits(u) then
    r.lane, r.cut = "", nil
    return
  end
  -- It had no work until now, whatever holds it back from here on.
  if r.lane == "" then r.S = math.max(r.S, g.V) end
  r.lane = "P"
end

-- Whether the user's next task is one of its CRITICAL ones.
local function critical_next(u) return u.pc > 0 and ((u.r.cs or 0) < CRITICAL_RUN or u.pn == 0) end

local function may_run(u)
  return waits(u) and not u.paused and (not u.cap or u.r.inf < u.cap) and (not u.rate or next_start(u) <= now)
end

-- Decides after any change in which rings a user belongs; commit writes the result. Start-time Fair Queueing (Goyal,
-- Vin, Cheng 1996) over users, with a fresh lane and bounded CRITICAL credit.
local function sync(u)
  if u.pn == 0 and u.r.tombstones then drop_tombstones(u) end
  if may_run(u) then
    if u.gained then note_work() end
    if u.r.lane == "" or u.r.lane == "P" then activate(u) end
    if u.pn then u.r.borrows = critical_next(u) or nil end
  else
    deactivate(u)
  end
  u.synced, u.anew = true, false
  synced[#synced + 1] = u
end
