-- save_user: writes a user's record, or deletes it: it is kept while the user has work, a debt, or a partly used rate,
-- so that idle users take no memory.

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
