-- leeway: how far behind V a user held back by its cap or its rate may be. V may have passed it only because other
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
