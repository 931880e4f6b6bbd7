-- writes: collects changes of indexes, keys and counters, which are sent together at the end of a script.
--- @include "access"
--- @include "begin"

-- The score of a member of an index, or nil.
local function score(index, id) return tonumber(call("ZSCORE", P .. index, id) or nil) end

-- Collects writes, and sends them on demand with one command per index and kind. Removals from an index are sent
-- before additions to it.
local added, taken, dropped, stored, appended = {}, {}, {}, {}, {}
-- The bound in the scheduler record that each of these indexes has, see bounds.
local BOUND_OF = {
  running = "next_at", delayed = "next_at", timers = "next_at", owe = "owe_min", kept = "kept_at", held = "kept_at",
}

local function lower_bound(index, score)
  local bound = BOUND_OF[index]
  if bound then g[bound] = math.min(g[bound], index == "timers" and math.ceil(score / 1000) or tonumber(score)) end
  if index == "critical" then g.critical = true end
end

local function add_to(index, score, id)
  local list = added[index]
  if not list then
    list = {}
    added[index] = list
  end
  local size = #list
  list[size + 1], list[size + 2] = score, id
  lower_bound(index, score)
end

local function take_from(index, id)
  local list = taken[index]
  if list then list[#list + 1] = id else taken[index] = {id} end
end

local function append_to(list, id)
  local ids = appended[list]
  if ids then ids[#ids + 1] = id else appended[list] = {id} end
end

local function drop_key(key) dropped[#dropped + 1] = key end

local function store_key(key, value)
  local size = #stored
  stored[size + 1], stored[size + 2] = key, value
end

-- Adds a task or schedule to those whose records are written at the end, once.
local function note_change(entry, changed)
  if entry.changed then return end
  entry.changed = true
  changed[#changed + 1] = entry
end

-- Counters of the queue, added up in the script and written at its end: those of every task with the scheduler
-- record, and the others with one command each. A counter that is not a number or at its maximum starts over: it must
-- not stop a script that has already written.
local counts = {}

local function count(name, by)
  if g[name] then
    g[name] = math.max(0, g[name] + by)
  else
    counts[name] = (counts[name] or 0) + by
  end
end

local function save_counts()
  for name, by in pairs(counts) do
    if by ~= 0 and type(redis.pcall("HINCRBY", P .. "counts", name, by)) == "table" then
      call("HSET", P .. "counts", name, int(math.max(0, by)))
    end
  end
end

local function send(command, key, list)
  for first = 1, #list, CHUNK do call(command, key, unpack(list, first, math.min(first + CHUNK - 1, #list))) end
end

local function send_index(index)
  if taken[index] then send("ZREM", P .. index, taken[index]) end
  if added[index] then send("ZADD", P .. index, added[index]) end
  taken[index], added[index] = nil, nil
end

local function send_keys(command, list)
  for first = 1, #list, CHUNK do call(command, unpack(list, first, math.min(first + CHUNK - 1, #list))) end
end

-- Sends the collected writes.
local function send_batches()
  send_keys("DEL", dropped)
  for index in pairs(taken) do send_index(index) end
  for index in pairs(added) do send_index(index) end
  for list, ids in pairs(appended) do send("RPUSH", P .. list, ids) end
  send_keys("MSET", stored)
  dropped, stored, appended = {}, {}, {}
end

-- Wakes one idle worker. The list has at most one element; a script that leaves runnable tasks adds it again.
local function wake()
  if call("LLEN", P .. "wake") == 0 then call("LPUSH", P .. "wake", "1") end
end

-- Removes a schedule whose record is missing or unreadable from all indexes, and sets its key aside. Returns
-- whether there was anything to remove.
local function lose(id)
  local aside = set_aside(P .. "schedule:" .. id)
  return call("ZREM", P .. "schedules", id) + call("ZREM", P .. "due", id) > 0 or aside
end
