-- enter: gives a task its place in its user's queue; settle makes the places and rings of all touched users real.
local NORMAL, CRITICAL = 3, 6
local BOOST = {0, 60000000, 120000000, 180000000, 240000000} -- score.py has the same, by priority, in microseconds

-- A strictly increasing time of entry keeps a batch in its order, whatever its ids.
local function arrival(u)
  u.r.clk = math.max(now, u.r.clk + 1)
  return u.r.clk
end

-- `score` puts a task back to the place that it had.
local function enter_at(u, id, priority, score)
  local lane = priority == CRITICAL and "c" or "n"
  add_to(lane .. ":" .. u.id, score, id)
  count_waiting(u)
  u["p" .. lane] = u["p" .. lane] + 1
  u.gained = true
  count("queued", 1)
end

-- `base` is the time in microseconds that counts as its entry: now, when it was due, or its pipeline's.
local function enter(u, id, priority, base)
  enter_at(u, id, priority, priority == CRITICAL and base or base - BOOST[priority])
end

-- A user that changes after this is synced again by whoever changes it.
local function settle()
  for _, u in ipairs(touched) do
    if not u.synced then sync(u) end
  end
  for _, u in ipairs(touched) do
    place(u)
    place_timer(u)
  end
end
