-- schedules: one schedule and its record, read once in a script; `r` is empty when there is none. In the record:
--   def  definition, opaque here     rev  number of its last change    on  whether it fires
--   content  digest of the definition, equal for equal ones
--   timing  digest of all that its times depend on     next  its next time     from  while there is no `next`: that is
--   the first one after it, which the leader computes     forget  it has no further time, and is forgotten then
--   last  the time it fired last     fired, missed, skipped  numbers of times     misses  see miss.lua
--   did  the last move from a time: the term of who made it, revision and time as that one saw them, the answer, when
--- @include "records"
local known_schedules, touched_schedules = {}, {}

local function schedule(id)
  local s = known_schedules[id]
  if s then return s end
  local key = P .. "schedule:" .. id
  s = {id = id, key = key, r = record(key) or {}, changed = false}
  known_schedules[id] = s
  touched_schedules[#touched_schedules + 1] = s
  return s
end

-- Where it stands in the index of those that are due: before all others while its next time is to be computed.
local function due_at(r) return r.on and (r.next or r.forget or r.from and 0) or nil end

-- Puts all schedules that changed to where they are due.
local function place_schedules()
  for _, s in ipairs(touched_schedules) do
    local at = due_at(s.r)
    if s.changed and at then
      add_to("due", int(at), s.id)
    elseif s.changed then
      take_from("due", s.id)
    end
  end
end
