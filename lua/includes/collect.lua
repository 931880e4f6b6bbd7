-- collect: frees records of users who have neither work nor debt any more, at most `limit`.
local function collect(limit)
  local paid = call("ZRANGEBYSCORE", P .. "owe", "-inf", string.format("%.17g", g.V), "LIMIT", 0, limit)
  for _, id in ipairs(paid) do
    call("ZREM", P .. "owe", id)
    user(id)
  end
  return #paid
end
