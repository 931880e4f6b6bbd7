-- collect: looks at users who have paid their debts, at most `limit`; the end of the script frees records without use.
local function collect(limit)
  local paid = call("ZRANGEBYSCORE", P .. "owe", "-inf", string.format("%.17g", g.V), "LIMIT", 0, limit)
  for _, id in ipairs(paid) do user(id) end
  return #paid
end
