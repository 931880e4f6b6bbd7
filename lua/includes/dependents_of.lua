-- dependents_of: the lists of dependents of tasks, each read once in a script, within a total limit.
--- @include "terminal"
local MOST_LINES = 100000
local lists, lines_read = {}, 0

local function count_one(lines, id) lines[id] = (lines[id] or 0) + 1 end

-- How often each dependent that is still to be notified is listed, and how often each notified one; nil if the list
-- is too long.
local function dependents_of(parent)
  if lists[parent.id] then return lists[parent.id] end
  local key, r, most = P .. "d:" .. parent.id, parent.r, MOST_LINES - lines_read
  local length = call("LLEN", key)
  if length > most then return nil end
  lines_read = lines_read + length
  if (r.told or 0) > length and not TERMINAL[r.state] then
    found("dependents", parent.id, "it notified " .. int(r.told) .. " dependents, but lists " .. int(length), fix)
    r.told = nil
    if fix then will_write(parent) end
  end
  local list = {open = {}, told = {}}
  for place, line in ipairs(call("LRANGE", key, 0, most - 1)) do
    local open = place > (r.told or 0) and string.sub(line, 1, 1) ~= "n"
    count_one(open and list.open or list.told, string.sub(line, 2))
  end
  lists[parent.id] = list
  return list
end

-- Takes one entry of a dependent; false if none is left.
local function take_one(lines, id)
  local number = lines[id] or 0
  lines[id] = math.max(0, number - 1)
  return number > 0
end
