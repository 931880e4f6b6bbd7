-- queues: the waiting tasks of a user: a list in the order of pushes, a sorted set beside it, and CRITICAL ones.
--- @include "access"

-- The head start of each priority, in microseconds; keep equal to score.py.
local NORMAL = 3
local CRITICAL = 6
local BOOST = {0, 60000000, 120000000, 180000000, 240000000}

-- The list `n:` of a user: NORMAL tasks that wait as they were pushed, in the order of their times of entry,
-- which are in their bodies. A task that leaves a long list from its middle leaves a tombstone, a line break and its
-- time of entry, so that no command walks over the list.
local NEAR = 1000 -- elements that one command may walk over
local GONE = 10   -- bodies in a row that may be gone without spoiling a search

local function is_tombstone(element) return string.byte(element) == 10 end

-- When the task of an element entered, in microseconds; nil if its body is gone.
local function entered_at(element)
  if is_tombstone(element) then return whole(string.sub(element, 2)) end
  local head = redis.pcall("GETRANGE", P .. "t:" .. element, 0, 8)
  if type(head) == "string" and #head == 9 then return between(struct.unpack("<d", string.sub(head, 2)), 0, TOP) end
end

-- How many elements of a list entered before a time, by binary search.
local function listed_before(key, time)
  local low, high = 0, call("LLEN", key)
  while low < high do
    local middle = math.floor((low + high) / 2)
    local at
    local last = middle - 1
    repeat
      last = last + 1
      at = entered_at(call("LINDEX", key, last) or "\n")
    until at or last + 1 >= high or last - middle == GONE
    if at and at < time then low = last + 1 else high = middle end
  end
  return low
end

-- The index of a task in a list from 0, given its time of entry; nil if it is not there.
local function index_of(key, id, time)
  local index = call("LPOS", key, id, "MAXLEN", NEAR)
  if index or not time or call("LLEN", key) <= NEAR then return index or nil end
  local first = listed_before(key, time)
  for place, element in ipairs(call("LRANGE", key, first, first + GONE)) do
    if element == id then return first + place - 1 end
  end
end

-- Whether a task that is QUEUED is in its user's queue.
local function in_queue(t)
  local r = t.r
  return call("ZSCORE", P .. (r.prio == 6 and "c:" or "z:") .. r.user, t.id)
    or not r.prio and index_of(P .. "n:" .. r.user, t.id, r.pushed_at)
end

-- How many tasks of a user wait in its queue, and how many CRITICAL ones, given its record, if it has one.
local function waiting_of(id, r)
  local listed = call("LLEN", P .. "n:" .. id) - (r and r.tombstones or 0)
  return math.max(0, listed) + call("ZCARD", P .. "z:" .. id), call("ZCARD", P .. "c:" .. id)
end
