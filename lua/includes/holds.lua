-- holds: whether a token is valid. 1: it holds the task. 2: it ended this attempt before. -1: it lost it. -2: no such
-- task.
local function holds(t, token)
  local r = t.r
  if not r.state then return -2 end
  if r.state == "STARTED" and r.token == token then return 1 end
  if r.settled == token or (r.state ~= "STARTED" and r.token == token) then return 2 end
  count("stale", 1)
  return -1
end
