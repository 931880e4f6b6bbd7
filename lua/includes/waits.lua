-- waits: whether a user has waiting tasks; one without has the lane '', so that mostly nothing has to be counted.
local function waits(u)
  if u.pn then return u.pn + u.pc > 0 end
  return u.r.lane ~= ""
end
