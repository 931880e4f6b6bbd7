-- trim: deletes tasks whose retention time is over, at most `limit` of each kind. Returns how many were checked, and
-- whether more may be deleted now.
--- @include "forget_task"
--- @include "let_go"
local function trim(limit)
  local ids = call("ZRANGEBYSCORE", P .. "kept", "-inf", int(now_ms), "LIMIT", 0, limit)
  for _, id in ipairs(ids) do forget_task(id, "kept") end
  local held, unfinished = let_go(limit)
  return #ids + held, unfinished or math.max(#ids, held) == limit
end
