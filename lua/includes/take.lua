-- take: removes the next task of a user from its queue; nil if its record is broken. The next one is the one with the
-- lower place of the first in the user's list and the first of its other tasks.
--- @include "bury"
--- @include "comes_after"
local SKIPPED = 100 -- tombstones that are removed in one turn

-- The first task in the list, without removing it; nil if there is none, or after too many tombstones.
local function first_listed(u)
  local r, key = u.r, P .. "n:" .. u.id
  for _ = 1, SKIPPED do
    local id = call("LINDEX", key, 0)
    if not id or not is_tombstone(id) then return id end
    call("LPOP", key)
    r.tombstones = (r.tombstones or 0) > 1 and r.tombstones - 1 or nil
  end
end

-- Removes the next task that is not CRITICAL, and returns it with its place.
local function take_normal(u)
  local id, other = first_listed(u), u.r.sorted and call("ZRANGE", P .. "z:" .. u.id, 0, 0, "WITHSCORES") or {}
  if not other[1] then u.r.sorted = nil end
  local pushed_at = id and task(id).r.pushed_at
  local place = pushed_at and pushed_at - BOOST[NORMAL]
  if other[1] and (not id or place and comes_after(place, id, tonumber(other[2]), other[1])) then
    call("ZREM", P .. "z:" .. u.id, other[1])
    if call("EXISTS", P .. "z:" .. u.id) == 0 then u.r.sorted = nil end
    return other[1], other[2]
  end
  if id then call("LPOP", P .. "n:" .. u.id) end
  return id, place
end

local function take(u, dead_ttl_ms)
  count_waiting(u)
  local id, place
  if critical_next(u) then
    id, place = unpack(call("ZPOPMIN", P .. "c:" .. u.id))
    u.pc, u.r.cs = math.max(0, u.pc - 1), (u.r.cs or 0) + 1
  else
    id, place = take_normal(u)
    u.pn, u.r.cs = math.max(0, u.pn - 1), nil
  end
  if not id then
    recount(u)
    return nil
  end
  count("queued", -1)
  local t = task(id)
  t.r.score = between(place, -TOP, TOP) or now
  if t.r.state == "QUEUED" then return t end
  if not t.r.state then bury(t, u.id, "the queue of user " .. u.id, dead_ttl_ms) end
end
