-- clock: the queue's own clock. It follows the server's, but never goes back: if the server's clock is set back, the
-- queue's continues from the last recorded time, and stays ahead of the server's by the difference. So leases, delays,
-- rates and retention times keep their length when the server's clock is set back, and no stored time moves further
-- into the future. All stored times are on the queue's clock, except moments chosen by users: the runs of schedules,
-- and `at` of a task. Those, and all answers, are on the server's clock.
local now, now_ms              -- the queue's time, in microseconds and milliseconds
local wall_ms, shift_ms = 0, 0 -- the server's time, and how far the queue's is ahead of it
local set_back                 -- whether the server's clock was set back since the last recorded time

local CENTURY = 3155760000000000 -- in microseconds: a larger shift is corrupt, no clock is set back so far

-- How far the queue's clock is ahead, in milliseconds; nil if the value is impossible.
local function clock_shift(text) return between(text, 0, CENTURY / 1000) and whole(text) end

-- `shift` and `seen` are fields of the scheduler record: how far the queue's clock is ahead, and its last recorded
-- time.
local function read_clock(server_us, shift, seen)
  shift_ms = shift
  local back = seen - server_us - shift_ms * 1000
  set_back = back > 0 and back <= CENTURY
  if set_back then shift_ms = shift_ms + math.ceil(back / 1000) end
  now = server_us + shift_ms * 1000
  now_ms = math.floor(now / 1000)
  wall_ms = now_ms - shift_ms
end
