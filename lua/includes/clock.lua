-- clock: the queue's own time. It goes as the server's does, but never back: when the server's clock is set back, the
-- queue's goes on from the last time that it noted, and is ahead of the server's by so much from then on. So leases,
-- pauses, rates and times of keeping last as long as they were meant to, whatever the server's clock does, and nothing
-- stored lies further ahead than when it was stored. Every stored time is of the queue's clock. Not so what people wrote
-- down as a moment: the times of schedules, and the moment `at` of a task. Those, and the answers, are of the server's.
local now, now_ms              -- the queue's time, in microseconds and milliseconds
local wall_ms, shift_ms = 0, 0 -- the server's, and how far the queue's is ahead of it
local noted_shift              -- how far it was, as the record has it

-- A time of the record; 0 where it is none.
local function sound(text)
  local time = tonumber(text or nil)
  return time and time >= 0 and time < 2 ^ 53 and math.floor(time) or 0
end

-- `shift` and `seen` are of the scheduler's record: how far the queue's clock is ahead, and its time when it was noted.
local function read_clock(server_us, shift, seen)
  noted_shift, seen = sound(shift), sound(seen)
  local back = seen - server_us - noted_shift * 1000
  shift_ms = back > 0 and noted_shift + math.ceil(back / 1000) or noted_shift
  now = server_us + shift_ms * 1000
  now_ms = math.floor(now / 1000)
  wall_ms = now_ms - shift_ms
end

-- For scripts that write times: one that only reads finds a step back as well, and leaves it to be noted by others.
local function note_clock()
  call("HSET", P .. "g", "seen", format("%d", now), "shift", format("%d", shift_ms))
end
