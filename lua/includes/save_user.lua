-- save_user: writes a user's record, or deletes it: it lives while the user has work, a debt, or used up a part of its
-- rate, so that idle users leave nothing behind.

local function save_user(u)
  local r = u.r
  if r.inf == 0 and r.S <= g.V and (r.tat or 0) <= now and not waits(u) then
    if u.known then
      drop_key(u.key)
      take_from("users", u.id)
    end
    return
  end
  if not u.known then
    r.since = r.since or now_ms
    add_to("users", "0", u.id)
  end
  will_write(u)
end
