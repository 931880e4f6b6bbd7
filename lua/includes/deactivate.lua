-- deactivate: takes a user out of the rings that has no work, or is paused, capped or limited; its debt stays.
local function deactivate(u)
  if u.r.lane == "F" then moved = moved - 1 end
  u.r.lane = waits(u) and "P" or ""
  u.r.borrows = nil
end
