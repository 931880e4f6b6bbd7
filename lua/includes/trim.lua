-- trim: forgets tasks whose time of keeping is over, at most `limit`.
local function trim(limit)
  local ids = call("ZRANGEBYSCORE", P .. "kept", "-inf", int(now_ms), "LIMIT", 0, limit)
  for _, id in ipairs(ids) do
    for _, kind in ipairs({"t:", "m:", "r:"}) do messages_out[#messages_out + 1] = P .. kind .. id end
    kept_out[#kept_out + 1], dead_out[#dead_out + 1] = id, id
  end
  return #ids
end
