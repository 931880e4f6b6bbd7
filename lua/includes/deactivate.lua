-- deactivate: takes a user out of the rings that has no work, or is paused, capped or limited; its debt stays.
local function deactivate(u)
  if u.lane == "R" or u.lane == "F" then moved = moved - 1 end
  u.lane = waits(u) and "P" or ""
  u.borrows = ""
end
