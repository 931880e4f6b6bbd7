-- trim: forgets tasks whose time of keeping is over, at most `limit` of each kind. Returns how many were looked at, and
-- whether more may be forgotten now.
--- @include "forget_task"
--- @include "let_go"
local function trim(limit)
  local ids = call("ZRANGEBYSCORE", P .. "kept", "-inf", int(now_ms), "LIMIT", 0, limit)
  for _, id in ipairs(ids) do forget_task(id, "kept") end
  local held, unfinished = let_go(limit)
  return #ids + held, unfinished or math.max(#ids, held) == limit
end
