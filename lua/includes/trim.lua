-- trim: forgets tasks whose time of keeping is over, at most `limit`, with one deletion for all.
local function trim(limit)
  local ids = call("ZRANGEBYSCORE", P .. "kept", "-inf", int(now_ms), "LIMIT", 0, limit)
  if #ids == 0 then return 0 end
  local keys = {}
  for _, id in ipairs(ids) do
    for _, kind in ipairs({"t:", "m:", "r:", "w:"}) do keys[#keys + 1] = P .. kind .. id end
  end
  keys_in_chunks("DEL", keys)
  in_chunks("ZREM", P .. "kept", ids)
  in_chunks("ZREM", P .. "dead", ids)
  return #ids
end
