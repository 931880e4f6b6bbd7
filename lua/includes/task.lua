-- task: a task and its record, read once in a script, changed in place, written once by write_tasks; `r` is empty if
-- there is none. `bare` is true if nothing is stored of the task but what was pushed.
--- @include "task_record"
--- @include "message_of"
--- @include "set_aside_task"
--- @include "batch"
local known_tasks, changed_tasks, without_record = {}, {}, {}

local function task(id)
  local t = known_tasks[id]
  if not t then
    local r = task_record(id)
    local bare = r and r.state == "QUEUED" and not attempted[id]
    t = {id = id, r = r or {}, bare = bare, changed = false, forgotten = false}
    known_tasks[id] = t
  end
  return t
end

-- When the attempt of a running task began, in microseconds: its fence is this time.
local function started_at(t) return whole(string.match(t.r.token, "^%d+")) or 0 end

-- The result, error or reason of an ended task.
local function result_of(t) return t.r.large and call("GET", P .. "r:" .. t.id) or t.r.result or "" end

local function will_write(t)
  if not t.changed then
    t.changed = true
    changed_tasks[#changed_tasks + 1] = t
  end
end

-- Deletes what is stored of a task itself.
local function delete_task(id)
  drop_key(P .. "t:" .. id)
  without_record[#without_record + 1] = id
  if known_tasks[id] then known_tasks[id].forgotten = true end
end

local function write_tasks()
  local kept = {}
  for _, t in ipairs(changed_tasks) do
    local state, size = t.r.state, #kept
    local ended = state == "FINISHED" or state == "CANCELED"
    if ended and not t.forgotten then
      store_key(P .. "t:" .. t.id, pack_task(t.r))
      if attempted[t.id] then without_record[#without_record + 1] = t.id end
    elseif not t.forgotten then
      kept[size + 1], kept[size + 2] = t.id, pack_task(t.r)
    end
  end
  send("HDEL", P .. "a", without_record)
  send("HSET", P .. "a", kept)
end
