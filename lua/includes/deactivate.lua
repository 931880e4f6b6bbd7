-- deactivate: takes a user out of the rings that has no work, or is paused, capped or limited; its debt stays.
local function deactivate(u)
  local r = u.r
  if r.lane == "F" then moved = moved - 1 end
  r.borrows = nil
  if not waits(u) then
    r.lane, r.cut = "", nil
    return
  end
  -- Until now it had no work, whatever holds it back from here on.
  if r.lane == "" then r.S = math.max(r.S, g.V) end
  r.lane = "P"
end
