-- faults: what may be wrong with the record of a user.
--- @include "access"
--- @include "formats"
--- @include "begin"
--- @include "writes"
--- @include "user_record"
--- @include "rings"
--- @include "queues"
--- @include "sync"

-- Counts the tombstones in the list of a user; nil if the list is too long.
local MOST_ELEMENTS = 100000

local function tombstones_of(id)
  local key, number = P .. "n:" .. id, 0
  local size = call("LLEN", key)
  if size > MOST_ELEMENTS then return nil end
  for first = 0, size - 1, CHUNK do
    for _, element in ipairs(call("LRANGE", key, first, first + CHUNK - 1)) do
      if is_tombstone(element) then number = number + 1 end
    end
  end
  return number
end

-- Returns what is wrong with a user in the indexes, or nil.
-- For a user without a record.
local function fault_without_record(id)
  local pn, pc = waiting_of(id)
  if pn + pc > 0 then return "it has waiting tasks and no record" end
  for _, ring in ipairs({"ready", "fresh", "critical", "owe", "timers", "users"}) do
    if score(ring, id) then return "it is in the index " .. ring .. " and has no record" end
  end
end

local function fault_of(id, r)
  local pn, pc = waiting_of(id, r)
  local u = {id = id, r = r, pn = pn, pc = pc, w = 1}
  local marked = r.limited
  if limited then read_limits(u) end
  if r.limited and not marked then return "it has limits, and its record does not say so" end
  local line, owes, borrows = r.lane == "R" or r.lane == "F", score("owe", id), score("critical", id)
  if score("users", id) ~= 0 then return "it has a record and is not in the index of users" end
  if r.S < g.V - FAR then return "its tag is far behind the virtual time" end
  if not between(score("timers", id) or 0, 0, TOP) then return "its timer is not a time" end
  if (pn + pc > 0) ~= (r.lane ~= "") then
    return int(pn + pc) .. " of its tasks wait, and its lane is '" .. r.lane .. "'"
  end
  if (call("EXISTS", P .. "z:" .. id) == 1) ~= (r.sorted or false) then
    return "its tasks beside the list and its record do not agree"
  end
  local tombstones = r.tombstones and tombstones_of(id)
  if tombstones and tombstones ~= r.tombstones then
    return "its list has " .. int(tombstones) .. " tombstones, and its record says " .. int(r.tombstones)
  end
  if score("ready", id) ~= (r.lane == "R" and r.S or nil) then return "the ring ready and its record do not agree" end
  local arrived = score("fresh", id)
  if (arrived ~= nil) ~= (r.lane == "F") or not whole(arrived or 0) then
    return "the ring fresh and its record do not agree"
  end
  local wrong_ring = borrows ~= (r.borrows and critical_from(u) or nil)
  if (line and critical_next(u) or false) ~= (r.borrows or false) or wrong_ring then
    return "the ring critical and its queue do not agree"
  end
  if owes ~= (not line and (owes or r.S > g.V) and r.S or nil) then return "what it owes is not in the index owe" end
  local called = r.inf > 0 or u.paused or score("timers", id)
  if r.lane == "P" and not called then return "it has work and is in no ring, and nothing would put it into one" end
  if r.lane == "" and not called and not owes then return "it has a record without need" end
end
