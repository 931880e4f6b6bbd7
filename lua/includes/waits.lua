-- waits: whether a user has waiting tasks. A user without any has the lane '', so they rarely have to be counted.
local function waits(u)
  if u.pn then return u.pn + u.pc > 0 end
  return u.r.lane ~= ""
end
