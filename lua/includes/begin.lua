-- begin: what every script starts with that writes. When the server's clock was set back it notes that, also where the
-- call changes nothing else, so that the time until the next one counts.
--- @include "begin_reading"
local function begin()
  local refused = begin_reading()
  if set_back and not refused then
    call("HSET", P .. "g", "seen", int(now), "shift", int(shift_ms))
  end
  return refused
end
