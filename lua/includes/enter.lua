-- enter: gives a task its place in its user's queue; settle writes the places and rings of all touched users.
local NORMAL, CRITICAL = 3, 6
local BOOST = {0, 60000000, 120000000, 180000000, 240000000} -- by priority, in microseconds; keep equal to score.py

-- A strictly increasing time of entry keeps the order of a batch, whatever its ids.
local function arrival()
  g.clk = math.max(now, g.clk + 1)
  return g.clk
end

-- `score` returns a task to its previous place.
local function enter_at(u, id, priority, score)
  local lane = priority == CRITICAL and "c" or "n"
  add_to(lane .. ":" .. u.id, score, id)
  count_waiting(u)
  u["p" .. lane] = u["p" .. lane] + 1
  u.gained = true
  count("queued", 1)
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
