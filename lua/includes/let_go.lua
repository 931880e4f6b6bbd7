-- let_go: deletes expired tasks that have dependents or XCom values. They are kept until their last dependent has
-- ended, and then for their retention time. Returns how many were checked, and whether one has more dependents than
-- could be checked now.
--- @include "forget_task"
--- @include "still_needed"
local LOOKS = 10 -- further checks of one call, for all tasks together
local AGAIN_MS = 1000 -- the shortest time until a task that is still needed is checked again

local function let_go(limit)
  local ids = call("ZRANGEBYSCORE", P .. "held", "-inf", int(now_ms), "LIMIT", 0, limit)
  local looks, unfinished = LOOKS, false
  for _, id in ipairs(ids) do
    local t = task(id)
    local needed, gone = false, 0
    -- Without a record the retention time is unknown, and the values are useless.
    if t.r.state then needed, gone = still_needed(t) end
    while gone == LOOKED_AT and looks > 0 do
      needed, gone = still_needed(t)
      looks = looks - 1
    end
    local keep_ms = t.r.keep or 0
    local until_ms = needed and now_ms + math.max(AGAIN_MS, keep_ms) or gone > 0 and now_ms or (t.r.last or 0) + keep_ms
    unfinished = unfinished or (not needed and gone > 0)
    if needed or gone > 0 or until_ms > now_ms then
      add_to("held", until_ms, id)
    else
      forget_task(id, "held")
    end
  end
  return #ids, unfinished
end
