-- create: creates the queue if it does not exist. Its creation time distinguishes it from an earlier queue of the same
-- name that was lost with the server's data.
local function create()
  if born then return end
  born = now
  call("HSET", KEYS[1], "schema", "1", "born", int(born))
end
