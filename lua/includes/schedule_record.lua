-- schedule_record: the record of a schedule: one MessagePack map under one key. Unknown fields are kept. An unreadable
-- record counts as absent; the script that finds it sets it aside.
--- @include "readable_schedule"
local records, unreadable = {}, {}

-- Raises an error if it is not a record, or has fields that no script can use.
local function readable(text)
  local r = cmsgpack.unpack(text)
  return r.rev and readable_schedule(r) and r or error("no record")
end

-- Caches the record of a key, given its text; false if it is absent or unreadable.
local function note_record(key, text)
  local r = false
  if text then
    local sound, found = pcall(readable, text)
    r = sound and found
    if not sound then unreadable[key] = true end
  end
  records[key] = r
  return r
end

local function schedule_record(key)
  local known = records[key]
  if known == nil then known = note_record(key, call("MGET", key)[1]) end
  return known
end
