-- parents: the tasks that a new one depends on, a line each: c or r, whether it is canceled with them or runs all the
-- same, and the id. A parent in the same push comes before its dependents.
local stands_for = {} -- by id of this push: another task that stands for it by its deduplication key; its own user

-- Whose and how urgent the first of them is, how many have not ended, if one failed that cancels the task, when the
-- first of them was pushed, in microseconds, and for which of them others stand; or the id of one that is not known.
local function look_at_parents(lines, here)
  local open, failed, root_at, first, instead = 0, nil, now, {}, {}
  local ids, edges, size = {}, {}, 0
  for line in string.gmatch(lines, "[^\n]+") do
    local named, edge = string.sub(line, 2), string.sub(line, 1, 1)
    local other = stands_for[named]
    local id = other and other.id or named
    local parent = here[id] or record(P .. "t:" .. id)
    if not parent then return nil, named end
    if other then instead[#instead + 1] = named .. "\n" .. id .. "\n" end
    first = first.user and first or other and other.user and other or parent
    if parent.state == "FAILED" or parent.state == "CANCELED" then
      if edge == "c" then failed = failed or id end
      edge = "n"
    elseif parent.state == "FINISHED" then
      edge = "n"
    else
      open = open + 1
    end
    size = size + 1
    ids[size], edges[size] = id, edge
    root_at = math.min(root_at, parent.root_at or parent.pushed_at * 1000)
  end
  return {
    open = failed and 0 or open, failed = failed, root_at = root_at, ids = failed and {} or ids, edges = edges,
    count = size, user = first.user, prio = first.prio, instead = #instead > 0 and table.concat(instead) or nil,
  }
end
