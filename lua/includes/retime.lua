-- retime: gives a schedule other times, or none, from now on. Runs that are due and not fired count as missed: as many
-- as the caller counted, if it saw the current schedule; else one, because the times are opaque here.
--- @include "miss"

-- The overdue runs in the arguments from `index` on: number, first, last; nil if malformed.
local function overdue_at(index)
  local o = {number = number_at(index), first = number_at(index + 1), last = number_at(index + 2)}
  if o.number and o.first and o.last and o.first <= o.last then return o end
end

local function retime(s, next_ms, why, overdue)
  local r = s.r
  local seen = overdue.number > 0 and overdue.last <= wall_ms and not r.forget
    and (r.next == overdue.first or (not r.next and r.from and r.from < overdue.first))
  if r.on and seen then
    miss(s, overdue.first, overdue.last, overdue.number, why)
  elseif r.on and r.next and r.next <= wall_ms then
    miss(s, r.next, r.next, 1, why)
  end
  r.next, r.from, r.forget = next_ms, wall_ms, nil
end
