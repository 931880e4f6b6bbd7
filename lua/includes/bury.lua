-- bury: a task whose record is gone or cannot be read becomes a dead letter that says so, so that whoever waits for it
-- is told. What can be read of it is its id alone, and where it was found.
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
