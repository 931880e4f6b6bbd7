-- lose: removes a schedule whose record is missing or unreadable from all indexes, and sets its key aside. Returns
-- whether there was anything to remove.
local function lose(id)
  local aside = set_aside(P .. "schedule:" .. id)
  return call("ZREM", P .. "schedules", id) + call("ZREM", P .. "due", id) > 0 or aside
end
