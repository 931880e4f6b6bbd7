-- bury: a task whose record is missing or unreadable becomes a dead letter with that reason, so that waiting processes
-- are notified. Only its id and the index where it was found are known, and what was pushed if that can be read.
--- @include "in_queue"
local function bury(t, owner, where, ttl_ms)
  local pushed, gone = set_aside_task(t)
  t.r = {
    user = pushed.user or #owner <= 128 and owner or "", digest = pushed.digest or "", prio = pushed.prio,
    timeout = pushed.timeout, cost = pushed.cost, pushed_at = pushed.pushed_at or now,
    kids = call("EXISTS", P .. "d:" .. t.id) == 1 or nil, watch = call("EXISTS", P .. "w:" .. t.id) == 1 or nil,
  }
  return conclude(t, "FAILED", cjson.encode({
    type = "BrokenRecord", reason = "broken", error = "its record " .. gone .. "; its id was found in " .. where,
  }), ttl_ms)
end

-- Whether the record of a task that was found in an index of other states is lost: there is none, or nothing but what
-- was pushed, and the task is not in its queue.
local function record_lost(t)
  return not t.r.state or t.bare and not in_queue(t)
end
