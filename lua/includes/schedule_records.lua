-- schedule_records: reads the records of many schedules with one command in advance, and writes the changed ones at the
-- end.
--- @include "schedule_record"
--- @include "batch"
local changed_schedules = {}

local function read_schedules(keys)
  for first = 1, #keys, CHUNK do
    local texts = call("MGET", unpack(keys, first, math.min(first + CHUNK - 1, #keys)))
    for index, text in ipairs(texts) do note_record(keys[first + index - 1], text) end
  end
end

local function will_write_schedule(s)
  if not s.changed then
    s.changed = true
    changed_schedules[#changed_schedules + 1] = s
  end
end

local function write_schedules()
  for _, s in ipairs(changed_schedules) do store_key(s.key, cmsgpack.pack(s.r)) end
end
