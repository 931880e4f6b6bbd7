-- rings: the places of users in the rings as stored, and the changes of this script, sent together at its end.
--- @include "begin"
--- @include "writes"

-- The virtual time from which the user's CRITICAL tasks may be served ahead of its share.
local function critical_from(u) return u.r.S - (counted and 8 or 2000000) / u.w end -- Bc

-- The stored places of a user, from its record.
local function stands(u)
  local r = u.r
  u.at_limit = r.borrows and critical_from(u)
  u.owed = u.known and r.lane ~= "R" and r.lane ~= "F" and r.S
end

local function place_debt(u)
  local r = u.r
  local owes = r.lane ~= "R" and r.lane ~= "F" and r.S > g.V and r.S
  if owes and owes ~= u.owed then add_to("owe", owes, u.id) end
  if u.owed and not owes then take_from("owe", u.id) end
  u.owed = owes
end

-- Takes a user out of the rings in which its record does not place it.
local function unplace(u)
  for _, ring in ipairs({"ready", "fresh", "critical"}) do take_from(ring, u.id) end
  u.at, u.at_limit = "", false
end

local function place(u)
  local S, lane, at = u.r.S, u.r.lane, u.at
  if lane == "R" and (at ~= "R" or S ~= u.at_S) then add_to("ready", S, u.id) end
  if at == "R" and lane ~= "R" then take_from("ready", u.id) end
  if lane == "F" and at ~= "F" then add_to("fresh", u.arrival, u.id) end
  if at == "F" and lane ~= "F" then take_from("fresh", u.id) end
  local at_limit = u.r.borrows and critical_from(u)
  if at_limit and at_limit ~= u.at_limit then add_to("critical", at_limit, u.id) end
  if u.at_limit and not at_limit then take_from("critical", u.id) end
  if lane ~= "R" or u.owed then place_debt(u) end
  u.at, u.at_S, u.at_limit = lane, S, at_limit
end
