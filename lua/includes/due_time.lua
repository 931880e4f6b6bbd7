-- due_time: when a pushed task may start, in ms on the queue's clock (nil: now); a second value, true if it is
-- malformed; and the moment on the server's clock, if one was given.
local function due_time(text)
  if text == "" then return nil end
  local relative, digits = string.match(text, "^(%+?)(%d+)$")
  if not digits or #digits > 15 then return nil, true end
  local number = tonumber(digits)
  if relative == "+" then return number > 0 and now_ms + number or nil end
  if number > wall_ms then return number + shift_ms, false, number end
end
