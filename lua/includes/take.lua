-- take: removes the next task of a user from its queue; nil if its record is broken.
--- @include "bury"
local function take(u, dead_ttl_ms)
  count_waiting(u)
  local popped
  if critical_next(u) then
    popped = call("ZPOPMIN", P .. "c:" .. u.id)
    u.pc, u.r.cs = math.max(0, u.pc - 1), (u.r.cs or 0) + 1
  else
    popped = call("ZPOPMIN", P .. "n:" .. u.id)
    u.pn, u.r.cs = math.max(0, u.pn - 1), nil
  end
  if not popped[1] then return nil end
  count("queued", -1)
  local t = task(popped[1])
  t.r.score = between(popped[2], -TOP, TOP) or now
  if t.r.state == "QUEUED" then return t end
  if not t.r.state then bury(t, u.id, "the queue of user " .. u.id, dead_ttl_ms) end
end
