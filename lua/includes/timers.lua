-- timers: users that wait for their rate, until their next start; and users without work until their bucket is full
-- again, since a record that went earlier would fill it at once.
local timers_out, timers_in = batch("ZREM", "timers"), batch("ZADD", "timers")

local function place_timer(u)
  local at = u.r.tat
  if not at then return end
  if waits(u) then at = u.rate and not u.paused and next_start(u) or 0 end
  if at > now then
    put(timers_in, at, u.id)
    entered = entered or at < first_score("timers") -- an idle worker shortens its wait
  else
    timers_out[#timers_out + 1] = u.id
  end
end

-- Users whose time has come, at most `most`: settle puts them where they belong now.
local function due_timers(most)
  for _, id in ipairs(call("ZRANGEBYSCORE", P .. "timers", "-inf", int(now), "LIMIT", 0, most)) do
    timers_out[#timers_out + 1] = id
    user(id)
  end
end
