-- running_by_user: the number of running tasks per user; nil if there are too many to count in one step.
local COUNTED = 10000

local function running_by_user()
  if call("ZCARD", P .. "running") > COUNTED then return nil end
  local running = {}
  local ids = call("ZRANGEBYSCORE", P .. "running", "-inf", "+inf", "LIMIT", 0, COUNTED)
  read_tasks(ids)
  for _, id in ipairs(ids) do
    local r = task_records[id]
    if r and r.state == "STARTED" then running[r.user] = (running[r.user] or 0) + 1 end
  end
  return running
end
