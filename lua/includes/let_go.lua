-- let_go: forgets tasks that left more than a result: values for those that depend on them. These are kept until the
-- last of their dependents has ended, and from then on for their time of keeping.
--- @include "forget_task"
--- @include "still_needed"
local LOOKS = 10 -- further looks of one call, of all tasks together

local function let_go(limit)
  local ids = call("ZRANGEBYSCORE", P .. "held", "-inf", int(now_ms), "LIMIT", 0, limit)
  local looks = LOOKS
  for _, id in ipairs(ids) do
    local t = task(id)
    local needed, gone = false, 0
    -- Without a record nobody knows how long it was to be kept; what it left is nothing worth then.
    if t.r.state then needed, gone = still_needed(t) end
    while gone == LOOKED_AT and looks > 0 do
      needed, gone = still_needed(t)
      looks = looks - 1
    end
    local keep_ms = t.r.keep or 0
    local until_ms = needed and now_ms + keep_ms or gone > 0 and now_ms or (t.r.last or 0) + keep_ms
    if needed or gone > 0 or until_ms > now_ms then
      add_to("held", until_ms, id)
    else
      forget_task(id, "held")
    end
  end
  return #ids
end
