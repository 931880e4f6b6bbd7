-- holds: whether a token counts. 1: it holds the task. 2: it ended this attempt before. -1: it lost it. -2: no task.
local function holds(t, token)
  if not t.state then return -2 end
  if t.state == "STARTED" and t.token == token then return 1 end
  if t.settled == token or (t.state ~= "STARTED" and t.token == token) then return 2 end
  count("stale", 1)
  return -1
end
