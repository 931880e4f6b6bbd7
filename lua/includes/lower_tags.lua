-- lower_tags: restarts virtual time and all tags at 0, before they are so large that digits are lost. It changes all
-- users at once, because tags are only meaningful relative to each other. A single user of weight 1 needs 71 years of
-- one worker to get there.
local HIGH = 2 ^ 51 -- keep equal to order.py

local function lower_tags()
  if g.V < HIGH then return end
  local from = "-"
  repeat
    local ids = call("ZRANGEBYLEX", P .. "users", from, "+", "LIMIT", 0, CHUNK)
    read_users(ids)
    for _, id in ipairs(ids) do user(id) end
    from = "(" .. (ids[#ids] or "")
  until #ids < CHUNK
  for _, u in ipairs(touched) do u.r.S, u.r.cut = u.r.S - g.V, u.r.cut and u.r.cut - g.V end
  g.V = 0
  for _, u in ipairs(touched) do place(u) end
  send_batches()
end
