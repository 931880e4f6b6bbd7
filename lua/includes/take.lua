-- take: removes the task that is a user's next from its queue; nil when its record is not what it should be.
local function take(u)
  count_waiting(u)
  local popped
  if critical_next(u) then
    popped = call("ZPOPMIN", u.c)
    u.pc, u.cs = math.max(0, u.pc - 1), u.cs + 1
  else
    popped = call("ZPOPMIN", u.n)
    u.pn, u.cs = math.max(0, u.pn - 1), 0
  end
  if not popped[1] then return nil end
  count("queued", -1)
  local id = popped[1]
  local key = P .. "t:" .. id
  local field = call("HMGET", key, "state", "token", "attempt", "fails", "solo", "cost", "pushed_at")
  if field[1] ~= "QUEUED" then return nil end
  return {
    id = id, key = key, score = popped[2], token = field[2], attempt = field[3], fails = field[4], solo = field[5],
    cost = field[6], pushed_at = field[7],
  }
end
