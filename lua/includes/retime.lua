-- retime: a schedule gets other times, or none, from now on. A time that is due and was not fired yet is missed.
--- @include "miss"
local function retime(s, next_ms, why)
  local r = s.r
  if r.on and r.next and r.next <= now_ms then miss(s, r.next, r.next, 1, why) end
  r.next, r.from, r.forget = next_ms, now_ms, nil
end
