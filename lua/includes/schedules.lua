-- schedules: a schedule and its record, read once in a script; `r` is empty if there is none. In the record:
--   def  definition, opaque here     rev  number of its last change    on  whether it fires
--   content  digest of the definition, equal for equal ones
--   timing  digest of everything that its times depend on     next  time of its next run
--   from  if there is no `next`: the next run is the first one after this, and is computed by the leader
--   forget  it has no further runs, and is deleted then     last  time of the last fired run
--   fired, missed, skipped  numbers of runs     misses  see miss.lua
--   did  its last move: term of the leader, the revision and time that it saw, the answer, when
--- @include "schedule_records"
local known_schedules, touched_schedules = {}, {}

local function schedule(id)
  local s = known_schedules[id]
  if s then return s end
  local key = P .. "schedule:" .. id
  s = {id = id, key = key, r = schedule_record(key) or {}, changed = false}
  known_schedules[id] = s
  touched_schedules[#touched_schedules + 1] = s
  return s
end

-- Its score in the index `due`: before all others while its next run is not computed yet.
local function due_at(r) return r.on and (r.next or r.forget or r.from and 0) or nil end

-- Updates the index `due` for all changed schedules.
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
