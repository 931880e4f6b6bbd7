-- task: a task and its record, read once in a script; `r` is empty if there is none.
--- @include "record"
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

-- When the attempt of a running task began, in microseconds: its fence is this time.
local function started_at(t) return whole(string.match(t.r.token, "^%d+")) or 0 end
