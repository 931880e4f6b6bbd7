-- look_at_limits: checks that the limits of a user can be read, and that the user is in the index of users with limits.
-- `name` is the part of the key after the queue's prefix, `id` the user.
--- @include "ranges"
local function look_at_limits(name, id)
  for index, value in ipairs(call("HMGET", P .. name, unpack(SETTINGS))) do
    local setting = SETTINGS[index]
    if value and not in_range(setting, value) then
      found("user", id, "its " .. setting .. " cannot be '" .. string.sub(value, 1, 40) .. "'", fix)
      if fix then call("HDEL", P .. name, setting) end
    end
  end
  local stands = call("EXISTS", P .. name) == 1 and "0" or false
  if call("ZSCORE", P .. "configured", id) == stands then return end
  found("user", id, "its settings and the index of those who have settings do not agree", fix)
  if fix and stands then call("ZADD", P .. "configured", "0", id) end
  if fix and not stands then call("ZREM", P .. "configured", id) end
end
