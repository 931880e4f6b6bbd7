-- record: what is kept of a task or a user: one MessagePack map under one key. Unknown fields are kept. What cannot be
-- read is as good as nothing; who comes upon it sets it aside.
--- @include "readable"
local records, unreadable = {}, {}

-- Notes the record under a key, given its text; false when there is none, or none that can be read.
local function note_record(key, text)
  local sound, r = false, false
  if text then
    sound, r = pcall(readable, text)
    if not sound then r, unreadable[key] = false, true end
  end
  records[key] = r
  return r
end

local function record(key)
  local known = records[key]
  if known == nil then known = note_record(key, call("MGET", key)[1]) end
  return known
end

-- A holder has a key and, as `r`, its record.
local function write_now(holder) call("SET", holder.key, cmsgpack.pack(holder.r)) end
