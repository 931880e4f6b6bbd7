-- save_users: writes the records of the users that the script has read. A record is kept while its user has work, a
-- debt, or a partly used rate, so that idle users take no memory.
local function save_users()
  local kept, gone = {}, {}
  for _, u in ipairs(touched) do
    local r, size = u.r, #kept
    if r.inf == 0 and r.S <= g.V and (r.tat or 0) <= now and not waits(u) then
      if u.known then
        gone[#gone + 1] = u.id
        take_from("users", u.id)
      end
    else
      if not u.known then
        r.since = r.since or now_ms
        add_to("users", "0", u.id)
      end
      kept[size + 1], kept[size + 2] = u.id, pack_user(r)
    end
  end
  send("HDEL", P .. "u", gone)
  send("HSET", P .. "u", kept)
end
