-- waiting: the tasks in a user's queue and CRITICAL lane: counts them on demand, and removes one of them.
--- @include "listed"
local function recount(u)
  local r = u.r
  for _, index in ipairs({"z:" .. u.id, "c:" .. u.id}) do send_index(index) end
  local sorted, listed = call("ZCARD", P .. "z:" .. u.id), call("LLEN", P .. "n:" .. u.id)
  u.pn, u.pc = math.max(0, listed - (r.tombstones or 0)) + sorted, call("ZCARD", P .. "c:" .. u.id)
  r.sorted = sorted > 0 or nil
end

local function count_waiting(u)
  local r = u.r
  if u.pn then return end
  u.pn = 0
  if r.lane ~= "" then u.pn = math.max(0, call("LLEN", P .. "n:" .. u.id) - (r.tombstones or 0)) end
  if r.sorted then u.pn = u.pn + call("ZCARD", P .. "z:" .. u.id) end
  -- A runnable user with CRITICAL tasks borrows, or has just had its maximum of them in a row.
  local none = r.lane == "" or (r.lane ~= "P" and not r.borrows and (r.cs or 0) < CRITICAL_RUN)
  u.pc = none and 0 or call("ZCARD", P .. "c:" .. u.id)
end

-- Removes an element of the user's list, given its index and its time of entry.
local function unlist(u, id, index, time)
  local key = P .. "n:" .. u.id
  if index < NEAR then
    call("LREM", key, 1, id)
  elseif call("LLEN", key) - index <= NEAR then
    call("LREM", key, -1, id)
  else
    call("LSET", key, index, "\n" .. int(time))
    u.r.tombstones = (u.r.tombstones or 0) + 1
  end
end

local function leave_queue(u, t)
  if call("ZREM", P .. "z:" .. u.id, t.id) + call("ZREM", P .. "c:" .. u.id, t.id) > 0 then
    count("queued", -1)
  else
    local index = index_of(P .. "n:" .. u.id, t.id, t.r.pushed_at)
    if index then
      unlist(u, t.id, index, t.r.pushed_at)
      count("queued", -1)
    end
  end
  recount(u)
end

-- Nothing but tombstones is left of the list of a user. If there is more, their number was wrong.
local function drop_tombstones(u)
  local key = P .. "n:" .. u.id
  local first = call("LINDEX", key, 0)
  u.r.tombstones = nil
  if first and not is_tombstone(first) then recount(u) else call("DEL", key) end
end
