-- records: what is kept of a task or a user, one MessagePack map under one key. They are read when asked for, many in
-- one command where it is known which; changed in memory; and written together at the end. Unknown fields are kept.
--- @include "batch"
local records, changed = {}, {}

local function read_records(keys)
  for first = 1, #keys, CHUNK do
    local texts = call("MGET", unpack(keys, first, math.min(first + CHUNK - 1, #keys)))
    for index, text in ipairs(texts) do records[keys[first + index - 1]] = text and cmsgpack.unpack(text) end
  end
end

-- The record under a key; false when there is none.
local function record(key)
  local known = records[key]
  if known == nil then
    local text = call("GET", key)
    known = text and cmsgpack.unpack(text)
    records[key] = known
  end
  return known
end

-- A holder has a key and, as `r`, its record.
local function will_write(holder)
  if not holder.changed then
    holder.changed = true
    changed[#changed + 1] = holder
  end
end

local function write_records()
  for _, holder in ipairs(changed) do store_key(holder.key, cmsgpack.pack(holder.r)) end
end

local function write_now(holder) call("SET", holder.key, cmsgpack.pack(holder.r)) end
