-- rings: where users stand, as the server has it, and what this script changes of that, sent together at its end.
local ready_out, ready_in = batch("ZREM", "ready"), batch("ZADD", "ready")
local fresh_out, fresh_in = batch("ZREM", "fresh"), batch("ZADD", "fresh")
local critical_out, critical_in = batch("ZREM", "critical"), batch("ZADD", "critical")
local owe_out, owe_in = batch("ZREM", "owe"), batch("ZADD", "owe")

-- A tag as text, made once for the record and the ring.
local function tag(u)
  if u.written ~= u.S then u.written, u.text = u.S, exact(u.S) end
  return u.text
end

-- The tag up to which virtual time must have come for the user's CRITICAL tasks to be served ahead of its share.
local function limit(u) return u.S - (counted and 8 or 2000000) / u.w end -- Bc

-- What the server has of a user, from its record.
local function stands(u)
  u.at, u.at_S, u.at_limit = u.lane, u.S, u.borrows ~= "" and limit(u)
  u.owed = u.known and u.lane ~= "R" and u.lane ~= "F" and u.S
end

local function place_debt(u)
  local owes = u.lane ~= "R" and u.lane ~= "F" and u.S > g.V and u.S
  if owes and owes ~= u.owed then put(owe_in, owes, u.id) end
  if u.owed and not owes then owe_out[#owe_out + 1] = u.id end
  u.owed = owes
end

local function place(u)
  if u.lane == "R" and (u.at ~= "R" or u.S ~= u.at_S) then put(ready_in, tag(u), u.id) end
  if u.at == "R" and u.lane ~= "R" then ready_out[#ready_out + 1] = u.id end
  if u.lane == "F" and u.at ~= "F" then put(fresh_in, u.arrival, u.id) end
  if u.at == "F" and u.lane ~= "F" then fresh_out[#fresh_out + 1] = u.id end
  local at_limit = u.borrows ~= "" and limit(u)
  if at_limit and at_limit ~= u.at_limit then put(critical_in, at_limit, u.id) end
  if u.at_limit and not at_limit then critical_out[#critical_out + 1] = u.id end
  place_debt(u)
  u.at, u.at_S, u.at_limit = u.lane, u.S, at_limit
end
