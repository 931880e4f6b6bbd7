-- record: what is kept of a task or a user: one MessagePack map under one key. Unknown fields are kept.
local records = {}

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
local function write_now(holder) call("SET", holder.key, cmsgpack.pack(holder.r)) end
