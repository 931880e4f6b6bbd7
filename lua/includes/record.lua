-- record: the record of a task or schedule: one MessagePack map under one key. Unknown fields are kept. An
-- unreadable record counts as absent; the script that finds it sets it aside.
--- @include "readable"
local records, unreadable = {}, {}

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

local function record(key)
  local known = records[key]
  if known == nil then known = note_record(key, call("MGET", key)[1]) end
  return known
end

-- A holder has a `key`, and its record as `r`.
local function write_now(holder) call("SET", holder.key, cmsgpack.pack(holder.r)) end
