-- counts: counters of the queue, added up in the script and written with one command each at its end.
local counts = {}

local function count(name, by) counts[name] = (counts[name] or 0) + by end

local function save_counts()
  for name, by in pairs(counts) do
    if by ~= 0 then call("HINCRBY", P .. "counts", name, by) end
  end
end
