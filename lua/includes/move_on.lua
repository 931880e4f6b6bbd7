-- move_on: the end of one time of a schedule: what became of it is noted, and the next one takes its place.
--- @include "miss"

-- A schedule without further times is kept for a while, so that people can see it.
local function forget(s)
  drop_key(s.key)
  take_from("schedules", s.id)
  s.r, s.changed = {}, true
end

-- `code` is that of the answer, `missed` times up to `missed_last` brought no task, `following` is the next one.
local function move_on(s, code, fire_ms, following, missed, missed_last, keep_ms)
  local r = s.r
  if not r.next and not following and r.forget and r.forget <= now_ms and not s.changed then return forget(s) end
  if missed > 0 then miss(s, r.next, missed_last, missed, "late") end
  if code == 6 then
    miss(s, fire_ms, fire_ms, 1, "overlap")
  elseif fire_ms then
    r.last = fire_ms
  end
  if fire_ms and code == 1 then
    r.fired = (r.fired or 0) + 1
    count("fired", 1)
  end
  r.next = following
  r.forget = not following and (r.forget or now_ms + keep_ms) or nil
  will_write(s)
end
