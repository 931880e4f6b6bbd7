-- create: makes the queue, unless there is one. The time of that tells it from one of the same name that was there
-- before the server lost its data.
local function create()
  if born then return end
  born = int(now)
  call("HSET", KEYS[1], "schema", "1", "born", born)
end

-- Which queue it is, and how many changes of schedules and settings it has seen: fewer than before where the server has
-- got older data back.
local function edition()
  local changes = call("HMGET", P .. "counts", "changes", "settings")
  return born or "", int((tonumber(changes[1] or nil) or 0) + (tonumber(changes[2] or nil) or 0))
end
