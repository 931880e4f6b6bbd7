-- edition: when the queue was created, and the number of changes of its schedules and settings: fewer than before if
-- the server restored older data.
local function edition()
  local changes = call("HMGET", P .. "counts", "changes", "settings")
  return born and int(born) or "", int((whole(changes[1]) or 0) + (whole(changes[2]) or 0))
end
