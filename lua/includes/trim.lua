-- trim: forgets tasks whose time of keeping is over, at most `limit` of each kind.
--- @include "let_go"
local function trim(limit)
  local ids = call("ZRANGEBYSCORE", P .. "kept", "-inf", int(now_ms), "LIMIT", 0, limit)
  for _, id in ipairs(ids) do
    for _, kind in ipairs({"t:", "m:", "r:", "p:"}) do drop_key(P .. kind .. id) end
    take_from("kept", id)
    take_from("dead", id)
  end
  return #ids + let_go(limit)
end
