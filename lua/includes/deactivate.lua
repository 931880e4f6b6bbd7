-- deactivate: takes a user without runnable tasks out of the rings, and remembers its debt.
local function deactivate(u)
  if u.lane ~= "" and u.lane ~= "P" then
    call("ZREM", P .. (u.lane == "F" and "fresh" or "ready"), u.id)
    if u.borrows then call("ZREM", P .. "critical", u.id) end
    u.borrows = false
  end
  u.lane = u.pn + u.pc > 0 and "P" or ""
  if u.S > g.V then
    call("ZADD", P .. "owe", string.format("%.17g", u.S), u.id)
  else
    call("ZREM", P .. "owe", u.id)
  end
end
