-- tasks: the tasks that a script has read; those that it changes are written once, at its end.
--- @include "access"
--- @include "formats"
--- @include "begin"
--- @include "writes"
--- @include "task_record"

-- A task and its record, read once in a script, changed in place, written once by write_tasks; `r` is empty if
-- there is none. `bare` is true if nothing is stored of the task but what was pushed.
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

-- The state of a task, and its result, error or reason. If that was lost the task counts as unknown: the answer is that
-- it has expired, not that it was empty.
local function outcome_of(t)
  local state = t.r.state or ""
  if not t.r.large then return state, t.r.result or "" end
  local result = call("GET", P .. "r:" .. t.id)
  return result and state or "", result or ""
end

local function will_write(t) note_change(t, changed_tasks) end

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

-- Sets the unreadable record of a task aside. Returns what was pushed, empty if that cannot be read,
-- and what became of the record, for a message.
local function set_aside_task(t)
  local gone = unreadable_tasks[t.id] and "cannot be read and was set aside" or "is gone"
  if attempted[t.id] then
    call("SET", P .. "broken:a:" .. t.id, call("HGET", P .. "a", t.id), "PX", ASIDE_MS)
    call("HINCRBY", P .. "counts", "broken", 1)
    call("HDEL", P .. "a", t.id)
    attempted[t.id] = nil
  end
  local sound, r = pcall(parse_task, head_of(t.id), false)
  if sound and not r.ended_at then return r, gone end
  if call("EXISTS", P .. "t:" .. t.id) == 1 then set_aside(P .. "t:" .. t.id) end
  return {}, gone
end

-- The whole body, and where the message begins.
local function body_of(id)
  if not bodies[id] then
    local text = redis.pcall("GET", P .. "t:" .. id)
    bodies[id] = type(text) == "string" and text or ""
  end
  local text = bodies[id]
  if #text < TASK_HEAD_SIZE or string.byte(text) ~= BODY then return nil end
  local start = TASK_HEAD_SIZE + string.byte(text, TASK_HEAD_SIZE - 1) + string.byte(text, TASK_HEAD_SIZE) + 1
  if start <= #text + 1 then return text, start end
end

-- The message of a task that has not ended, or is a dead letter; nil if there is none that can be read.
local function message_of(id)
  local text, start = body_of(id)
  return text and string.sub(text, start)
end

-- Whether there is one, without reading it.
local function has_message(id)
  local sound, r = pcall(parse_task, head_of(id), false)
  return sound and not r.ended_at
end

-- The states in which a task has ended.
local TERMINAL = {FINISHED = true, FAILED = true, CANCELED = true}

-- The task that holds a deduplication key, or nil. A task that holds it until its end does so while its
-- record exists; a task that holds it for a time, until that time.
local function dedup_holder(dedup)
  local value = call("GET", P .. "dedup:" .. dedup)
  local id, until_ms = string.match(value or "", "^([^\n]+)\n?(%d*)$")
  if until_ms == "" then return task(id).r.state and id or nil end
  return id and tonumber(until_ms) > now_ms and id or nil
end

-- Makes a new task hold its deduplication key, until its end or for a time.
local function hold_dedup(t, dedup, ttl_ms)
  if not dedup then return end
  if ttl_ms > 0 then
    -- The key expires on the server's clock, but the queue's clock decides.
    call("SET", P .. "dedup:" .. dedup, t.id .. "\n" .. int(now_ms + ttl_ms), "PX", int(ttl_ms))
  else
    call("SET", P .. "dedup:" .. dedup, t.id)
    t.r.dedup = dedup
  end
end
