-- begin: the start of every script that writes. If the server's clock was set back, it records this even if the call
-- changes nothing else, so that time continues from there.
--- @include "begin_reading"
--- @include "save_globals"
local function begin()
  local refused = begin_reading()
  if set_back and not refused then save_globals() end
  return refused
end
