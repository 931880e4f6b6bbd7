-- clock: the queue's own time. It goes as the server's does, but never back: when the server's clock is set back, the
-- queue's continues from the last time that was noted, and is ahead of the server's by the difference from then on. So
-- leases, pauses, rates and times of keeping last as long as they were meant to, whatever the server's clock does, and
-- nothing stored lies further ahead than when it was stored. All stored times are of the queue's clock, except moments
-- that people chose: the times of schedules, and `at` of a task. Those, and all answers, are of the server's clock.
local now, now_ms              -- the queue's time, in microseconds and milliseconds
local wall_ms, shift_ms = 0, 0 -- the server's, and how far the queue's is ahead of it

-- A time of the record; 0 where it is none.
local function sound(text)
  local time = tonumber(text or nil)
  return time and time >= 0 and time < 2 ^ 53 and math.floor(time) or 0
end

-- `shift` and `seen` are of the scheduler's record: how far the queue's clock is ahead, and its time when it was noted.
local function read_clock(server_us, shift, seen)
  shift_ms = sound(shift)
  local back = sound(seen) - server_us - shift_ms * 1000
  if back > 0 then shift_ms = shift_ms + math.ceil(back / 1000) end
  now = server_us + shift_ms * 1000
  now_ms = math.floor(now / 1000)
  wall_ms = now_ms - shift_ms
  -- Also by a call that will be refused, so that the time until the next one counts; a script that only reads cannot.
  if back > 0 then redis.pcall("HSET", P .. "g", "seen", format("%d", now), "shift", format("%d", shift_ms)) end
end
