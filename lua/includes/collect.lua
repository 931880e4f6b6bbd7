-- collect: looks at users who have paid their debts, at most `limit`; the end of the script frees records without use.
local function collect(limit)
  local paid = call("ZRANGEBYSCORE", P .. "owe", "-inf", string.format("%.17g", g.V), "LIMIT", 0, limit)
  for _, id in ipairs(paid) do
    local u = user(id)
    take_from("owe", id) -- or one whose record says something else would stand before all others forever
    u.owed = false
  end
  return #paid
end
