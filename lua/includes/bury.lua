-- bury: a task whose record is missing or unreadable becomes a dead letter with that reason, so that waiting processes
-- are notified. Only its id and the index where it was found are known.
local function bury(t, owner, where, ttl_ms)
  local gone = unreadable[t.key] and "cannot be read and was set aside" or "is gone"
  if call("EXISTS", t.key) == 1 then set_aside(t.key) end
  t.r = {
    user = owner, digest = "", pushed_at = now_ms,
    kids = call("EXISTS", P .. "d:" .. t.id) == 1 or nil, watch = call("EXISTS", P .. "w:" .. t.id) == 1 or nil,
  }
  return conclude(t, "FAILED", cjson.encode({
    type = "BrokenRecord", reason = "broken", error = "its record " .. gone .. "; its id was found in " .. where,
  }), ttl_ms)
end
