-- clock: the queue's own time. It goes as the server's does, but never back: when the server's clock is set back, the
-- queue's continues from the last time that was noted, and is ahead of the server's by the difference from then on. So
-- leases, pauses, rates and times of keeping last as long as they were meant to, whatever the server's clock does, and
-- nothing stored lies further ahead than when it was stored. All stored times are of the queue's clock, except moments
-- that people chose: the times of schedules, and `at` of a task. Those, and all answers, are of the server's clock.
local now, now_ms              -- the queue's time, in microseconds and milliseconds
local wall_ms, shift_ms = 0, 0 -- the server's, and how far the queue's is ahead of it
local set_back                 -- whether the server's clock was set back since a time was noted

local CENTURY = 3155760000000000 -- in microseconds: no clock is set back by so much, and what says so was spoiled

-- How far the queue's clock is ahead, in milliseconds; nil where that cannot be.
local function clock_shift(text) return between(text, 0, CENTURY / 1000) and whole(text) end

-- `shift` and `seen` are of the scheduler's record: how far the queue's clock is ahead, and its time when it was noted.
local function read_clock(server_us, shift, seen)
  shift_ms = clock_shift(shift) or 0
  local back = (whole(seen) or 0) - server_us - shift_ms * 1000
  set_back = back > 0 and back <= CENTURY
  if set_back then shift_ms = shift_ms + math.ceil(back / 1000) end
  now = server_us + shift_ms * 1000
  now_ms = math.floor(now / 1000)
  wall_ms = now_ms - shift_ms
end
