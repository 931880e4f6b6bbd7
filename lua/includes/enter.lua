-- enter: gives a task its place in its user's queue; settle writes the places and rings of all touched users.
--- @include "boost"

-- A strictly increasing time of entry keeps the order of a batch, whatever its ids.
local function arrival()
  g.clk = math.max(now, g.clk + 1)
  return g.clk
end

local function gain(u, critical)
  count_waiting(u)
  if critical then u.pc = u.pc + 1 else u.pn = u.pn + 1 end
  u.gained = true
  count("queued", 1)
end

-- A NORMAL task that is runnable when it is pushed, at its time of entry, comes after all others in the list.
local function append(u, id)
  gain(u, false)
  append_to("n:" .. u.id, id)
end

-- `score` returns a task to its previous place.
local function enter_at(u, id, priority, score)
  local critical = priority == CRITICAL
  gain(u, critical)
  add_to((critical and "c:" or "z:") .. u.id, score, id)
  if not critical then u.r.sorted = true end
end

-- `base` is its time of entry in microseconds: now, when it was due, or the entry of its pipeline.
local function enter(u, id, priority, base)
  enter_at(u, id, priority, priority == CRITICAL and base or base - BOOST[priority])
end

-- A user that is changed after this must be synced again by the code that changes it.
local function settle()
  for _, u in ipairs(touched) do
    if not u.synced then sync(u) end
  end
  for _, u in ipairs(touched) do
    place(u)
    place_timer(u)
  end
end
