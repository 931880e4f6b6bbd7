-- save_user: writes a user's record, or deletes it: it lives while the user has work, a debt, or used up a part of its
-- rate, so that idle users leave nothing behind.
local users_out, users_in = batch("ZREM", "users"), batch("ZADD", "users")

local function save_user(u)
  local r = u.r
  if r.inf == 0 and r.S <= g.V and (r.tat or 0) <= now and not waits(u) then
    if u.known then
      records_out[#records_out + 1], users_out[#users_out + 1] = u.key, u.id
    end
    return
  end
  if not u.known then
    r.since = now_ms
    put(users_in, "0", u.id)
  end
  will_write(u)
end
