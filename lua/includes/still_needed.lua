-- still_needed: whether a dependent still needs an ended task, and how many that no longer need it were removed.
--- @include "terminal"
local LOOKED_AT = 10 -- dependents checked at a time

local function still_needed(t)
  local list = P .. "d:" .. t.id
  local r, needed, gone = t.r, false, 0
  for _, line in ipairs(call("LRANGE", list, 0, LOOKED_AT - 1)) do
    local child = task(string.sub(line, 2)).r
    needed = child.state and not TERMINAL[child.state]
    if needed then break end
    gone, r.last = gone + 1, math.max(r.last or 0, child.ended_at or 0)
  end
  if gone > 0 then
    call("LTRIM", list, gone, -1)
    r.told = math.max(0, (r.told or 0) - gone)
    will_write(t)
  end
  return needed, gone
end
