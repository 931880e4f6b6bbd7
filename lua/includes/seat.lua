-- seat: takes a user out of all rings, so that settle puts it where its queue requires. For a user whose record is
-- unreadable or does not match the rings. Its debt is kept; a user without a record begins at virtual time.
local function seat(u)
  for _, ring in ipairs({"ready", "fresh", "critical", "owe", "timers", "users"}) do call("ZREM", P .. ring, u.id) end
  if unreadable_users[u.id] then
    call("SET", P .. "broken:u:" .. u.id, call("HGET", P .. "u", u.id), "PX", ASIDE_MS)
    call("HINCRBY", P .. "counts", "broken", 1)
  end
  call("HDEL", P .. "u", u.id)
  recount(u)
  u.r.S, u.r.lane, u.r.borrows = math.max(u.r.S, g.V), u.pn + u.pc > 0 and "P" or "", nil
  u.anew = true
  u.known, u.at, u.at_S, u.at_limit, u.owed, u.synced = false, "", false, false, false, false
end
