-- due_time: when a pushed task may start, in ms: nil for now, and a second value, true, when it is malformed.
local function due_time(text)
  if text == "" then return nil end
  local relative, digits = string.match(text, "^(%+?)(%d+)$")
  if not digits or #digits > 15 then return nil, true end
  local due_ms = tonumber(digits) + (relative == "+" and now_ms or 0)
  return due_ms > now_ms and due_ms or nil
end
