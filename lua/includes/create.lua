-- create: makes the queue, unless there is one. The time of that tells it from one of the same name that was there
-- before the server lost its data.
local function create()
  if born then return end
  born = now
  call("HSET", KEYS[1], "schema", "1", "born", int(born))
end
