-- miss: notes that times of a schedule brought no task, and why.
local MISSES = 20 -- lines that are kept: first time, last time, number, reason

local function miss(s, first, last, number, why)
  local r = s.r
  local lines = {format("%s %s %s %s", int(first), int(last), int(number), why)}
  for line in string.gmatch(r.misses or "", "[^\n]+") do
    if #lines < MISSES then lines[#lines + 1] = line end
  end
  r.misses = table.concat(lines, "\n")
  local name = why == "overlap" and "skipped" or "missed"
  r[name] = (r[name] or 0) + number
  count(name, number)
end
