-- leeway: how far behind V a user may be that its cap or its rate held back. V may have passed it only because others
-- have longer tasks, which must not cost it its share; but a limit that binds must not save up credit.
local PATIENCE = 16 -- by how many leeways V moves on before a user whose place was cut, and which has not had to wait
                    -- since, counts as one whose limit binds

local function leeway(u) return u.r.leeway or (counted and 8 or 10000000) end -- K, at first

-- The least tag with which the user comes back.
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

-- It is served. With a tag of V at least it had to wait for others. Soon after its place was cut this means that no
-- limit held it back, and that its leeway was too small; after long, that its limit bound and no longer does. Without
-- a cap the leeway does not grow: whether a rate binds is decided by the length of a user's tasks, so with tiny ones it
-- would save up as much as it likes, and take all workers with long ones.
local function take_turn(u)
  local r = u.r
  if not r.cut or r.S < g.V then return end
  if u.cap and g.V - r.cut <= PATIENCE * leeway(u) / u.w then r.leeway = 2 * leeway(u) end
  r.cut = nil
end

-- An operator changed what holds the user back: the time until now earns nothing.
local function begin_anew(u)
  u.r.S, u.r.leeway, u.r.cut, u.anew = math.max(u.r.S, g.V), nil, nil, true
end
