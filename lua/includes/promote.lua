-- promote: makes at most `most` due tasks runnable, with their due time as time of entry. If the server's clock was set
-- back, a task with a fixed moment waits for it on the server's clock.
--- @include "delay"
--- @include "bury"
local function promote(most, dead_ttl_ms)
  local due = call("ZRANGEBYSCORE", P .. "delayed", "-inf", int(now_ms), "WITHSCORES", "LIMIT", 0, most)
  for index = 1, #due, 2 do
    local id, due_ms = due[index], between(due[index + 1], 0, TOP / 1000) or now_ms
    local t = task(id)
    undelay(id, t.r.user or "")
    if t.r.state == "SCHEDULED" and t.r.at and t.r.at > wall_ms then
      delay(id, t.r.user, t.r.at + shift_ms)
    elseif t.r.state == "SCHEDULED" then
      t.r.state, t.r.at = "QUEUED", nil
      will_write(t)
      enter(user(t.r.user), id, t.r.prio or NORMAL, due_ms * 1000)
    elseif record_lost(t) then
      bury(t, "", "the index of delayed tasks", dead_ttl_ms)
    end
  end
  return #due / 2
end
