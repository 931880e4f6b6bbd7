-- retention: deletes ended tasks whose retention time is over.
--- @include "access"
--- @include "begin"
--- @include "writes"
--- @include "tasks"

-- Whether dependents of an ended task await notice; those added after its end ('n') do not.
local function dependents_pending(t)
  local next_line = t.r.kids and call("LINDEX", P .. "d:" .. t.id, t.r.told or 0)
  return next_line and string.sub(next_line, 1, 1) ~= "n"
end

-- Whether the listeners of an ended task will be notified; assumed if there are very many tasks.
local PENDING = 10000

local function notification_pending(entry)
  return call("LPOS", P .. "pending", entry, "MAXLEN", PENDING) or call("LLEN", P .. "pending") > PENDING
end

-- Deletes all keys of an ended task. A task in `kept` has no values, dependents or listeners left, so for
-- most tasks fewer keys are deleted.
local OF_KEPT, OF_HELD = {"r:", "p:"}, {"r:", "p:", "w:", "x:", "d:"}

local function forget_task(id, index)
  delete_task(id)
  for _, kind in ipairs(index == "kept" and OF_KEPT or OF_HELD) do drop_key(P .. kind .. id) end
  take_from(index, id)
  take_from("dead", id)
end

-- Whether a dependent still needs an ended task, and how many that no longer need it were removed.
local LOOKED_AT = 10 -- dependents checked at a time

local function still_needed(t)
  local list = P .. "d:" .. t.id
  local r, needed, gone = t.r, false, 0
  for _, line in ipairs(call("LRANGE", list, 0, LOOKED_AT - 1)) do
    local child = task(string.sub(line, 2)).r
    needed = child.state and not TERMINAL[child.state]
    if needed then break end
    gone, r.last = gone + 1, math.max(r.last or 0, child.ended_at or 0)
  end
  if gone > 0 then
    call("LTRIM", list, gone, -1)
    r.told = math.max(0, (r.told or 0) - gone)
    will_write(t)
  end
  return needed, gone
end

-- Deletes expired tasks that have dependents or XCom values. They are kept until their last dependent has
-- ended, and then for their retention time. Returns how many were checked, and whether one has more dependents than
-- could be checked now.
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

-- Deletes tasks whose retention time is over, at most `limit` of each kind. Returns how many were checked, and
-- whether more may be deleted now.
local function trim(limit)
  local ids = call("ZRANGEBYSCORE", P .. "kept", "-inf", int(now_ms), "LIMIT", 0, limit)
  for _, id in ipairs(ids) do forget_task(id, "kept") end
  local held, unfinished = let_go(limit)
  return #ids + held, unfinished or math.max(#ids, held) == limit
end
