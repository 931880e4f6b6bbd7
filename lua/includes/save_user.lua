-- save_user: writes what changed of a user's record, or deletes it: it lives while the user has work, a debt, or used
-- up a part of its rate, so that idle users leave nothing behind.
local users_out, users_in = batch("ZREM", "users"), batch("ZADD", "users")
local records_out = batch("DEL")

local function save_user(u)
  if u.inf == 0 and u.S <= g.V and u.tat <= now and not waits(u) then
    if u.known then
      records_out[#records_out + 1], users_out[#users_out + 1] = u.key, u.id
    end
    return
  end
  if not u.known then
    put(users_in, "0", u.id)
    call("HSET", u.key, "since", int(now_ms))
  end
  if u.served ~= u.was_served then
    call("HSET", u.key, "S", tag(u), "inf", u.inf, "served", exact(u.served), "ewma", u.ewma or "")
  else
    call("HSET", u.key, "S", tag(u), "inf", u.inf)
  end
  if u.lane ~= u.was_lane or u.borrows ~= u.was_borrows or u.cs ~= u.was_cs or u.clk ~= u.was_clk
    or u.tat ~= u.was_tat then
    call("HSET", u.key, "lane", u.lane, "borrows", u.borrows, "cs", u.cs, "clk", int(u.clk), "tat", exact(u.tat))
  end
end
