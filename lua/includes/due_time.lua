-- due_time: when a pushed task may start, in ms on the queue's clock (nil: now), given the sign and the number of its
-- line; and the moment on the server's clock, if it is one.
local function due_time(kind, number)
  if kind == "+" then return number > 0 and now_ms + number or nil end
  if kind == "@" and number > wall_ms then return number + shift_ms, number end
end
