-- deactivate: takes a user that has no work, or is paused, capped or limited, out of the rings; its debt is kept.
local function deactivate(u)
  local r = u.r
  if r.lane == "F" then moved = moved - 1 end
  r.borrows = nil
  if not waits(u) then
    r.lane, r.cut = "", nil
    return
  end
  -- It had no work until now, whatever holds it back from here on.
  if r.lane == "" then r.S = math.max(r.S, g.V) end
  r.lane = "P"
end
