-- enter: gives a task its place in its user's queue; settle makes the places and rings real, many at a time.
local CRITICAL = 6
local BOOST = {0, 60000000, 120000000, 180000000, 240000000} -- score.py has the same, by priority, in microseconds

-- A strictly increasing time of entry keeps a batch in its order, whatever its ids.
local function arrival(u)
  u.clk = math.max(now, u.clk + 1)
  return u.clk
end

-- `score` puts a task back to the place that it had.
local function enter_at(u, id, priority, score)
  local list = priority == CRITICAL and u.add_c or u.add_n
  list[#list + 1] = int(score)
  list[#list + 1] = id
  entered = true
  count("queued", 1)
end

-- `base` is the time in microseconds that counts as its entry: now, when it was due, or its pipeline's.
local function enter(u, id, priority, base)
  enter_at(u, id, priority, priority == CRITICAL and base or base - BOOST[priority])
end

local function settle_user(u)
  for _, lane in ipairs({"n", "c"}) do
    local list = u["add_" .. lane]
    if #list > 0 then
      in_chunks("ZADD", u[lane], list)
      u["p" .. lane] = call("ZCARD", u[lane])
      u["add_" .. lane] = {}
    end
  end
  sync(u)
end

local function settle()
  for _, u in ipairs(touched) do settle_user(u) end
end
