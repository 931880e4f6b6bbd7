-- records: reads many records with one command in advance, and writes the changed ones at the end.
--- @include "record"
--- @include "batch"
local changed = {}

local function note_all(keys, first, texts)
  for index, text in ipairs(texts) do records[keys[first + index - 1]] = text and readable(text) end
end

local function read_records(keys)
  for first = 1, #keys, CHUNK do
    local texts = call("MGET", unpack(keys, first, math.min(first + CHUNK - 1, #keys)))
    -- One guard for all, because it is almost never needed.
    if not pcall(note_all, keys, first, texts) then
      for index, text in ipairs(texts) do note_record(keys[first + index - 1], text) end
    end
  end
end

local function will_write(holder)
  if not holder.changed then
    holder.changed = true
    changed[#changed + 1] = holder
  end
end

local function write_records()
  for _, holder in ipairs(changed) do store_key(holder.key, cmsgpack.pack(holder.r)) end
end
