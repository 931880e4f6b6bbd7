-- promote: makes tasks runnable whose time has come, at most `limit`, with that time as their time of entry.
--- @include "delay"
local function promote(limit)
  local due = call("ZRANGEBYSCORE", P .. "delayed", "-inf", int(now_ms), "WITHSCORES", "LIMIT", 0, limit)
  for index = 1, #due, 2 do
    local id, due_ms = due[index], tonumber(due[index + 1])
    local t = task(id, "state", "user", "prio")
    undelay(id, t.user or "")
    if t.state == "SCHEDULED" then
      call("HSET", t.key, "state", "QUEUED")
      enter(user(t.user), id, tonumber(t.prio), due_ms * 1000)
    end
  end
  return #due / 2
end
