-- tell_schedules: adds schedules to an answer, in the thirteen places that calls/schedules.py reads. `from` is not
-- later than now, even if the server's clock was set back. Returns how many it read: `most`, or fewer if they exceed 4
-- MiB, but at least one. A schedule whose record cannot be read has no definition.
--- @include "schedule_record"
local TOLD_BYTES = 4194304

local function maybe(number) return number and int(number) or "" end

local function tell_schedules(reply, ids, most)
  local head, total = #reply, 0
  for place = 1, math.min(#ids, most) do
    local r, size = schedule_record(P .. "schedule:" .. ids[place]), #reply
    if r then
      if not readable_schedule(r) then r = {rev = 0} end
      local def, misses = r.def or "", r.misses or ""
      total = total + #def + #misses
      if total > TOLD_BYTES and size > head then return place - 1 end
      reply[size + 1], reply[size + 2], reply[size + 3], reply[size + 4] = ids[place], def, r.rev, r.on and 1 or 0
      local from = r.from and math.min(r.from, wall_ms)
      reply[size + 5], reply[size + 6], reply[size + 7] = maybe(r.next), maybe(from), maybe(r.forget)
      reply[size + 8], reply[size + 9], reply[size + 10] = maybe(r.last), r.fired or 0, r.missed or 0
      reply[size + 11], reply[size + 12], reply[size + 13] = r.skipped or 0, misses, r.did or ""
    end
  end
  return math.min(#ids, most)
end
