-- edition: which queue of the name it is, when it was made, and how many changes of schedules and settings it has seen:
-- fewer than before where the server has got older data back.
local function edition()
  local changes = call("HMGET", P .. "counts", "changes", "settings")
  return born and int(born) or "", int((whole(changes[1]) or 0) + (whole(changes[2]) or 0))
end
