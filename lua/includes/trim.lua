-- trim: forgets tasks whose time of keeping is over, at most `limit` of each kind.
--- @include "forget_task"
--- @include "let_go"
local function trim(limit)
  local ids = call("ZRANGEBYSCORE", P .. "kept", "-inf", int(now_ms), "LIMIT", 0, limit)
  for _, id in ipairs(ids) do forget_task(id, "kept") end
  return #ids + let_go(limit)
end
