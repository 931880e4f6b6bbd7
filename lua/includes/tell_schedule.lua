-- tell_schedule: adds a schedule to an answer, in the twelve places that calls/schedules.py reads.
local function maybe(number) return number and int(number) or "" end

local function tell_schedule(reply, id)
  local r, size = record(P .. "schedule:" .. id), #reply
  if not r then return false end
  reply[size + 1], reply[size + 2], reply[size + 3], reply[size + 4] = id, r.def, r.rev, r.on and 1 or 0
  reply[size + 5], reply[size + 6], reply[size + 7] = maybe(r.next), maybe(r.from), maybe(r.forget)
  reply[size + 8], reply[size + 9], reply[size + 10] = maybe(r.last), r.fired or 0, r.missed or 0
  reply[size + 11], reply[size + 12] = r.skipped or 0, r.misses or ""
  return true
end
