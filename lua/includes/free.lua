-- free: removes one open parent from a waiting task; `goes_on` is whether the task may run after this ending.
--- @include "delay"
--- @include "cancel_with"
--- @include "undefer"
--- @include "bury"

local function free(id, parent, goes_on, ttl_ms)
  local t = task(id)
  local r = t.r
  if (not r.state or t.bare) and call("ZSCORE", P .. "deferred", id) and record_lost(t) then
    take_from("deferred", id)
    bury(t, "", "the index of those that wait for others", ttl_ms)
  end
  if r.state ~= "DEFERRED" then return end
  r.open = r.open - 1
  will_write(t)
  if goes_on and r.open > 0 then return end
  undefer(t)
  if not goes_on then
    cancel_with(t, parent, ttl_ms)
  elseif r.at and r.at > wall_ms or r.due and r.due > now_ms then
    r.state = "SCHEDULED"
    delay(id, r.user, r.at and r.at + shift_ms or r.due)
  else
    r.state, r.at = "QUEUED", nil
    enter(user(r.user), id, r.prio or NORMAL, r.root_at)
  end
end
