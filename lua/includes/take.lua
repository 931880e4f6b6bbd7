-- take: removes the task that is a user's next from its queue; nil when its record is not what it should be.
local function take(u)
  local critical = critical_next(u)
  local popped = call("ZPOPMIN", critical and u.c or u.n)
  if critical then
    u.pc, u.cs = call("ZCARD", u.c), u.cs + 1
  else
    u.pn, u.cs = call("ZCARD", u.n), 0
  end
  if not popped[1] then return nil end
  count("queued", -1)
  local t = task(popped[1], "state", "token", "attempt", "deliv", "fails", "solo", "cost", "pushed_at")
  t.score = popped[2]
  if t.state == "QUEUED" then return t end
end
