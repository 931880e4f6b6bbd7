-- verification: what the scripts of the verifier share.
--- @include "access"
--- @include "begin"
--- @include "writes"
--- @include "task_record"
--- @include "tasks"
--- @include "user_record"
--- @include "users"

-- Collects the findings of a verification, four places each in its answer: kind, name, what is wrong, and
-- whether it was fixed. Without `fix` nothing is written, and a key of the wrong type is an error.
local findings, fix = {1}, false

local function found(kind, name, what, fixed)
  local size = #findings
  findings[size + 1], findings[size + 2], findings[size + 3], findings[size + 4] = kind, name, what, fixed and 1 or 0
end

-- Reads the first argument; nil if it is neither 0 nor 1.
local function begin_verification()
  fix = ARGV[1] == "1"
  if not fix then raise_spoiled() end
  return (fix or ARGV[1] == "0") or nil
end

-- The answer: the findings, and the keys that a command could not use.
local function all_found()
  for _, key in ipairs(spoiled_keys) do found("type", string.sub(key, #P + 1), "it was of the wrong type", true) end
  return findings
end

-- Checks that the limits of a user can be read, and that the user is in the index of users with limits.
-- `name` is the part of the key after the queue's prefix, `id` the user.
local function look_at_limits(name, id)
  for index, value in ipairs(call("HMGET", P .. name, unpack(SETTINGS))) do
    local setting = SETTINGS[index]
    if value and not in_range(setting, value) then
      found("user", id, "its " .. setting .. " cannot be '" .. string.sub(value, 1, 40) .. "'", fix)
      if fix then call("HDEL", P .. name, setting) end
    end
  end
  local stands = call("EXISTS", P .. name) == 1 and "0" or false
  if call("ZSCORE", P .. "configured", id) == stands then return end
  found("user", id, "its settings and the index of those who have settings do not agree", fix)
  if fix and stands then call("ZADD", P .. "configured", "0", id) end
  if fix and not stands then call("ZREM", P .. "configured", id) end
end

-- Restarts virtual time and all tags at 0, before they are so large that digits are lost. It changes all
-- users at once, because tags are only meaningful relative to each other. A single user of weight 1 needs 71 years of
-- one worker to get there.
local HIGH = 2 ^ 51 -- keep equal to order.py

local function lower_tags()
  if g.V < HIGH then return end
  local from = "-"
  repeat
    local ids = call("ZRANGEBYLEX", P .. "users", from, "+", "LIMIT", 0, CHUNK)
    read_users(ids)
    for _, id in ipairs(ids) do user(id) end
    from = "(" .. (ids[#ids] or "")
  until #ids < CHUNK
  for _, u in ipairs(touched) do u.r.S, u.r.cut = u.r.S - g.V, u.r.cut and u.r.cut - g.V end
  g.V = 0
  for _, u in ipairs(touched) do place(u) end
  send_batches()
end

-- The number of running tasks per user; nil if there are too many to count in one step.
local COUNTED = 10000

local function running_by_user()
  if running_tasks() > COUNTED then return nil end
  local running = {}
  local ids = call("ZRANGEBYSCORE", P .. "running", "-inf", "(inf", "LIMIT", 0, COUNTED)
  read_tasks(ids)
  for _, id in ipairs(ids) do
    local r = task_records[id]
    if r and r.state == "STARTED" then running[r.user] = (running[r.user] or 0) + 1 end
  end
  return running
end

-- Whether the task of the previous run of a schedule has not ended.
local function last_one_runs(s)
  local last = s.r.last and task(format("schedule:%s:%s", s.id, int(s.r.last))).r.state
  return last and not TERMINAL[last]
end

-- The lists of dependents of tasks, each read once in a script, within a total limit.
local MOST_LINES = 100000
local lists, lines_read = {}, 0

local function count_one(lines, id) lines[id] = (lines[id] or 0) + 1 end

-- How often each dependent that is still to be notified is listed, and how often each notified one; nil if the list
-- is too long.
local function dependents_of(parent)
  if lists[parent.id] then return lists[parent.id] end
  local key, r, most = P .. "d:" .. parent.id, parent.r, MOST_LINES - lines_read
  local length = call("LLEN", key)
  if length > most then return nil end
  lines_read = lines_read + length
  if (r.told or 0) > length and not TERMINAL[r.state] then
    found("dependents", parent.id, "it notified " .. int(r.told) .. " dependents, but lists " .. int(length), fix)
    r.told = nil
    if fix then will_write(parent) end
  end
  local list = {open = {}, told = {}}
  for place, line in ipairs(call("LRANGE", key, 0, most - 1)) do
    local open = place > (r.told or 0) and string.sub(line, 1, 1) ~= "n"
    count_one(open and list.open or list.told, string.sub(line, 2))
  end
  lists[parent.id] = list
  return list
end

-- Takes one entry of a dependent; false if none is left.
local function take_one(lines, id)
  local number = lines[id] or 0
  lines[id] = math.max(0, number - 1)
  return number > 0
end
