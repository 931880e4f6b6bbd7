-- task: one task and its record, read once in a script; `r` is empty when there is none.
--- @include "records"
local known_tasks = {}

local function task(id)
  local t = known_tasks[id]
  if not t then
    local key = P .. "t:" .. id
    t = {id = id, key = key, r = record(key) or {}, changed = false}
    known_tasks[id] = t
  end
  return t
end

-- When the attempt of a running task began, in microseconds: its fence is that time.
local function started_at(t) return tonumber(string.match(t.r.token, "^%d+")) end

-- Reads the tasks of a call ahead, whose ids stand first in each group of ARGV, and then their users; where the users
-- stand in ARGV too, at `owner_at` in each group, they are those.
local function read_ahead(head, stride, owner_at)
  local keys, owners, seen = {}, {}, {}
  for first = head + 1, #ARGV, stride do keys[#keys + 1] = P .. "t:" .. ARGV[first] end
  read_records(keys)
  for index, key in ipairs(keys) do
    local owner = records[key] and records[key].user
    if owner_at then owner = ARGV[head + owner_at + (index - 1) * stride] end
    if owner and not seen[owner] then
      seen[owner] = true
      owners[#owners + 1] = P .. "u:" .. owner
    end
  end
  read_records(owners)
end
