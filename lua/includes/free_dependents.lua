-- free_dependents: tells those that depend on ended tasks, and those that wait for them. An ended task stands in
-- `pending` until all of them are told, some in each call, so that ten thousand of them stall nobody and none is
-- forgotten.
--- @include "free"
local FREED = 100 -- dependents told in one call

-- Tells up to `most` dependents; what is left, and what this ends in turn, is for the next call.
local function free_dependents(most, ttl_ms)
  local ended = call("LINDEX", P .. "pending", 0)
  if ended and string.sub(ended, 1, 1) == "L" then ended = tell_more(ended) end
  while most > 0 do
    if not ended then return end
    if string.sub(ended, 1, 1) == "L" then break end
    local parent = task(string.sub(ended, 2))
    local r, told = parent.r, parent.r.told or 0
    local finished = r.state == "FINISHED" or not r.state and string.sub(ended, 1, 1) == "F"
    -- One that was redriven has told all of its end before, and will tell others of the next one.
    local redriven = r.state and not r.ended_at
    local list = P .. "d:" .. parent.id
    local children = redriven and {} or r.state and call("LRANGE", list, told, told + most - 1)
      or call("LPOP", list, most) or {} -- where there is no record that says how many were told
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
  entered = true -- there may be more: whoever is idle continues
end
