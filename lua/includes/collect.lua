-- collect: checks at most `limit` users that paid their debts; the end of the script deletes records without use.
local function collect(limit)
  local paid = call("ZRANGEBYSCORE", P .. "owe", "-inf", string.format("%.17g", g.V), "LIMIT", 0, limit)
  for _, id in ipairs(paid) do
    local u = user(id)
    take_from("owe", id) -- otherwise a user whose record disagrees would stay first forever
    u.owed = false
  end
  return #paid
end
