-- miss: records runs of a schedule that enqueued no task, and why. The last ones are kept, a line each, the newest
-- first: first time, last time, number, reason. Runs with none fired in between share a line.
local MISSES = 20

local function miss(s, first, last, number, why)
  local r, lines = s.r, {}
  for line in string.gmatch(r.misses or "", "[^\n]+") do lines[#lines + 1] = line end
  local since, to, before, reason = string.match(lines[1] or "", "^(%d+) (%d+) (%d+) (%a+)$")
  local total = number
  if reason == why and (r.last or 0) < tonumber(to) then
    table.remove(lines, 1)
    first, total = tonumber(since), number + tonumber(before)
  end
  table.insert(lines, 1, format("%s %s %s %s", int(first), int(last), int(total), why))
  r.misses = table.concat(lines, "\n", 1, math.min(#lines, MISSES))
  local name = why == "overlap" and "skipped" or "missed"
  r[name] = (r[name] or 0) + number
  count(name, number)
end
