-- task_record: reads and packs what is stored of tasks.
--- @include "access"
--- @include "formats"
local function texts(r)
  return (not r.dedup or type(r.dedup) == "string") and (not r.instead or type(r.instead) == "string")
end

-- Whether the fields of a task's record are usable, and those that its state needs are present.
-- Comparing a value that is not a number raises an error, and NaN is in no range.
local function readable_task(r)
  local state = r.state
  if state == "STARTED" then
    if not (r.charged and r.attempt and r.score and whole(string.match(r.token, "^(%d+):"))) then return false end
  elseif state == "DEFERRED" then
    if not (sane(r.open) and r.root_at) then return false end
  elseif state == "FINISHED" or state == "FAILED" or state == "CANCELED" then
    if not r.ended_at then return false end
  elseif not state then
    return false
  end
  -- Most are absent.
  return r.pushed_at >= 0 and r.pushed_at < TOP and (not r.prio or (r.prio >= 1 and r.prio <= 6))
    and (not r.score or (r.score > -TOP and r.score < TOP)) and (not r.timeout or sane(r.timeout))
    and (not r.cost or sane(r.cost)) and (not r.charged or sane(r.charged)) and (not r.ended_at or sane(r.ended_at))
    and (not r.root_at or sane(r.root_at)) and (not r.keep or sane(r.keep)) and (not r.due or sane(r.due))
    and (not r.at or sane(r.at)) and (not r.told or whole(r.told)) and (not r.last or sane(r.last)) and texts(r)
end

-- The records of tasks, each read at most once in a script. What is pushed is stored once, under `t:`.
-- What changes afterwards is the record, in the hash `a`; a task without one is QUEUED, as it was pushed. A finished or
-- canceled task has nothing but its record, under `t:`. A record that cannot be read counts as absent; the script that
-- finds it sets it aside.
local STATES = {"QUEUED", "SCHEDULED", "DEFERRED", "STARTED", "FINISHED", "FAILED", "CANCELED"}
local FLAGS = {"solo", "cancel", "watch", "kids", "xcom", "large"} -- from the lowest bit
local MOST_READ = 2048 -- bytes of a body that are read for its head; hardly a record is longer
local task_records, unreadable_tasks, bodies = {}, {}, {}
local attempted = {} -- tasks that have a record in `a`

local function parse_attempt(r, text, at)
  local state, flags, ended_at, result, score, charged, attempt, fails, lost, token, settled, worker, map =
    struct.unpack(ATTEMPT, text, at)
  r.state, r.score, r.charged = STATES[state], score > -math.huge and score or nil, charged ~= 0 and charged or nil
  r.ended_at, r.attempt = ended_at ~= 0 and ended_at or nil, attempt > 0 and attempt or nil
  r.fails, r.lost = fails > 0 and fails or nil, lost > 0 and lost or nil
  local place = at + ATTEMPT_SIZE
  if token > 0 then r.token = string.sub(text, place, place + token - 1) end
  place = place + token
  if settled > 0 then r.settled = string.sub(text, place, place + settled - 1) end
  place = place + settled
  if worker > 0 then r.worker = string.sub(text, place, place + worker - 1) end
  place = place + worker
  if map > 0 then
    local rest = cmsgpack.unpack(string.sub(text, place, place + map - 1))
    for name, value in pairs(rest) do r[name] = r[name] or value end
  end
  place = place + map
  if result > 0 then r.result = string.sub(text, place, place + result - 1) end
  for index = #FLAGS, 1, -1 do
    if flags >= 2 ^ (index - 1) then
      flags, r[FLAGS[index]] = flags - 2 ^ (index - 1), true
    end
  end
  if place + result ~= #text + 1 or flags ~= 0 then error("no record") end
end

-- Raises an error if it is not a record or body that belongs where it was found: in `a`, or under `t:`.
local function parse_task(text, in_a)
  local kind, pushed_at, prio, timeout, cost, digest, user = struct.unpack(TASK_HEAD, text)
  local at = TASK_HEAD_SIZE + digest + user
  local r = {
    state = "QUEUED", digest = string.sub(text, TASK_HEAD_SIZE + 1, TASK_HEAD_SIZE + digest),
    user = string.sub(text, TASK_HEAD_SIZE + digest + 1, at), prio = prio ~= 3 and prio or nil, pushed_at = pushed_at,
    timeout = timeout ~= TIMEOUT and timeout or nil, cost = cost ~= -1 and cost or nil,
  }
  if kind == RECORD then
    parse_attempt(r, text, at + 1)
    if (r.state == "FINISHED" or r.state == "CANCELED") == in_a then error("no record") end
  elseif kind ~= BODY or in_a or at > #text then
    error("no record")
  end
  return readable_task(r) and r or error("no record")
end

local IN_HEAD = {
  state = true, digest = true, prio = true, user = true, pushed_at = true, cost = true, timeout = true, score = true,
  charged = true, ended_at = true, attempt = true, fails = true, lost = true, token = true, settled = true,
  worker = true, result = true,
}
for _, name in ipairs(FLAGS) do IN_HEAD[name] = true end

local function pack_head(kind, r)
  return struct.pack(TASK_HEAD, kind, r.pushed_at, r.prio or 3, r.timeout or TIMEOUT, r.cost or -1, #r.digest, #r.user)
    .. r.digest .. r.user
end

local function pack_task(r)
  local rest, flags = nil, 0
  for name, value in pairs(r) do
    if not IN_HEAD[name] then
      rest = rest or {}
      rest[name] = value
    end
  end
  for index, name in ipairs(FLAGS) do
    if r[name] then flags = flags + 2 ^ (index - 1) end
  end
  local map, result, token, settled = rest and cmsgpack.pack(rest) or "", r.result or "", r.token or "", r.settled or ""
  local worker = r.worker or ""
  return pack_head(RECORD, r) .. struct.pack(ATTEMPT, STATE_NUMBERS[r.state], flags, r.ended_at or 0, #result,
    r.score or -math.huge, r.charged or 0, r.attempt or 0, r.fails or 0, r.lost or 0, #token, #settled, #worker,
    #map) .. token .. settled .. worker .. map .. result
end

-- The beginning of what is under `t:`, or all of it if it is short or was read; '' if there is nothing or another type.
local function head_of(id)
  local text = bodies[id] or redis.pcall("GETRANGE", P .. "t:" .. id, 0, MOST_READ - 1)
  if type(text) ~= "string" then return "" end
  if #text == MOST_READ and string.byte(text) == RECORD then text = redis.pcall("GET", P .. "t:" .. id) end
  if #text > 0 and #text < MOST_READ then bodies[id] = text end
  return text
end

local function note_task(id, in_a)
  local text, sound, r = in_a or head_of(id), false, false
  if text ~= "" then sound, r = pcall(parse_task, text, in_a and true or false) end
  task_records[id], unreadable_tasks[id] = sound and r, text ~= "" and not sound
  attempted[id] = in_a and true
end

-- The record of a task; false if there is none that can be read.
local function task_record(id)
  if task_records[id] == nil then note_task(id, call("HGET", P .. "a", id)) end
  return task_records[id]
end

-- Reads the records of many tasks with one command, or one more if there are some without.
local function read_tasks(ids)
  for first = 1, #ids, CHUNK do
    local last, others, keys = math.min(first + CHUNK - 1, #ids), {}, {}
    for place, text in ipairs(call("HMGET", P .. "a", unpack(ids, first, last))) do
      local id = ids[first + place - 1]
      if text and task_records[id] == nil then note_task(id, text) end
      if task_records[id] == nil then others[#others + 1], keys[#keys + 1] = id, P .. "t:" .. id end
    end
    local none = #keys > 0 and call("EXISTS", unpack(keys)) == 0
    for _, id in ipairs(others) do
      if none then task_records[id] = false else note_task(id, false) end
    end
  end
end
