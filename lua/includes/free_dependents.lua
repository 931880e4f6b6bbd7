-- free_dependents: notifies dependents and listeners of ended tasks. An ended task stays in `pending` until all are
-- notified, a limited number per call, so that ten thousand dependents do not block the server and none is missed.
--- @include "free"
local FREED = 100 -- dependents notified in one call

-- Notifies up to `most` dependents. The rest, and the dependents of tasks that this ends, are left to the next call.
local function free_dependents(most, ttl_ms)
  local ended = call("LINDEX", P .. "pending", 0)
  if ended and string.sub(ended, 1, 1) == "L" then ended = tell_more(ended) end
  while most > 0 do
    if not ended then return end
    if string.sub(ended, 1, 1) == "L" then break end
    local parent = task(string.sub(ended, 2))
    local r, told = parent.r, parent.r.told or 0
    local finished = r.state == "FINISHED" or not r.state and string.sub(ended, 1, 1) == "F"
    -- A redriven task has notified all of its previous end, and will notify others of the next one.
    local redriven = r.state and not r.ended_at
    local list = P .. "d:" .. parent.id
    local children = redriven and {} or r.state and call("LRANGE", list, told, told + most - 1)
      or call("LPOP", list, most) or {} -- without a record the number of notified ones is unknown
    for _, child in ipairs(children) do
      local edge = string.sub(child, 1, 1)
      if edge ~= "n" then
        free(string.sub(child, 2), parent.id, finished or edge == "r", ttl_ms)
      end
    end
    if #children > 0 and r.state then
      r.told = told + #children
      will_write(parent)
    end
    if #children < most then call("LPOP", P .. "pending") end
    most, ended = most - #children, call("LINDEX", P .. "pending", 0)
  end
  entered = true -- there may be more: an idle worker continues
end
