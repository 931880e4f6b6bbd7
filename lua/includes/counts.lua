-- counts: counters of the queue, added up in the script and written at its end: those of every task with the scheduler
-- record, and the others with one command each. A counter that is not a number or at its maximum starts over: it must
-- not stop a script that has already written.
local counts = {}

local function count(name, by)
  if g[name] then
    g[name] = math.max(0, g[name] + by)
  else
    counts[name] = (counts[name] or 0) + by
  end
end

local function save_counts()
  for name, by in pairs(counts) do
    if by ~= 0 and type(redis.pcall("HINCRBY", P .. "counts", name, by)) == "table" then
      call("HSET", P .. "counts", name, int(math.max(0, by)))
    end
  end
end
