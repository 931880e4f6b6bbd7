-- move_on: ends one run of a schedule: records its outcome, and moves the schedule to the next run.
--- @include "miss"

-- A schedule without further runs is kept for a while, so that users can see it.
local function forget(s)
  drop_key(s.key)
  take_from("schedules", s.id)
  s.r, s.changed = {}, true
end

-- `move` has the arguments of fire.lua, `code` is the code of the answer.
local function move_on(s, move, code, keep_ms, term)
  local r, fire_ms = s.r, move.fire_ms
  if not r.next and not move.following and r.forget and r.forget <= wall_ms and not s.changed then return forget(s) end
  if move.missed > 0 then miss(s, r.next, move.missed_last, move.missed, "late") end
  if code == 6 then
    miss(s, fire_ms, fire_ms, 1, "overlap")
  elseif fire_ms then
    r.last = fire_ms
  end
  if fire_ms and code == 1 then
    r.fired = (r.fired or 0) + 1
    count("fired", 1)
  end
  -- A caller that lost the answer can see here what it did.
  if move.at then r.did = format("%d %d %d %d %d", term, move.revision, move.at, code, wall_ms) end
  r.next = move.following
  r.forget = not move.following and (r.forget or wall_ms + keep_ms) or nil
  will_write_schedule(s)
end
