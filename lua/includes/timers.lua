-- timers: users that wait for their rate, until their next start; and users without work, until their bucket is full
-- again: deleting the record earlier would refill it at once.

local function place_timer(u)
  local at = u.r.tat
  if not at then
    if u.unlimited then take_from("timers", u.id) end
    return
  end
  if waits(u) then at = u.rate and not u.paused and next_start(u) or 0 end
  if at > now then
    add_to("timers", at, u.id)
    entered = entered or at < first_score("timers") -- an idle worker must shorten its wait
  else
    take_from("timers", u.id)
  end
end

-- Takes at most `most` users whose timer has expired, for settle to place. Returns their number.
local function due_timers(most)
  local due = call("ZRANGEBYSCORE", P .. "timers", "-inf", int(now), "LIMIT", 0, most)
  for _, id in ipairs(due) do
    take_from("timers", id)
    user(id)
  end
  return #due
end
