-- free_dependents: tells those that depend on ended tasks. Each ended parent stands in `pending` until all of its
-- dependents are told, some in each call, so that ten thousand of them stall nobody and none is forgotten.
--- @include "free"
local FREED = 100 -- dependents told in one call

-- Tells up to `most` dependents; what is left, and what this ends in turn, is for the next call.
local function free_dependents(most, ttl_ms)
  while most > 0 do
    local ended = call("LINDEX", P .. "pending", 0)
    if not ended then return end
    local parent = string.sub(ended, 2)
    local children = call("LPOP", P .. "d:" .. parent, most) or {}
    for _, child in ipairs(children) do
      free(string.sub(child, 2), parent, string.sub(ended, 1, 1) == "F" or string.sub(child, 1, 1) == "r", ttl_ms)
    end
    if #children < most then call("LPOP", P .. "pending") end
    most = most - #children
  end
  entered = true -- there may be more: whoever is idle goes on
end
