-- waiting_of: how many tasks of a user wait in its queue, and how many CRITICAL ones, given its record, if it has one.
local function waiting_of(id, r)
  local listed = call("LLEN", P .. "n:" .. id) - (r and r.tombstones or 0)
  return math.max(0, listed) + call("ZCARD", P .. "z:" .. id), call("ZCARD", P .. "c:" .. id)
end
