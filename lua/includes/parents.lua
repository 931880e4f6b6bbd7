-- parents: the tasks that a new task depends on, each as c (canceled with it) or r (runs anyway), and the id. A parent
-- in the same push comes before its dependents.
local stands_for = {} -- by id of this push: the task that replaces it by its deduplication key; its own user

-- Returns the user and priority of the first one, how many are open, whether one failed that cancels the task, when the
-- first was pushed in microseconds, and which are replaced by others; or nil and the id of an unknown one.
local function look_at_parents(lines, here)
  local open, failed, root_at, first, instead = 0, nil, now, {}, {}
  local ids, edges, size = {}, {}, 0
  for _, line in ipairs(lines) do
    local named, edge = string.sub(line, 2), string.sub(line, 1, 1)
    local other = stands_for[named]
    local id = other and other.id or named
    local parent = here[id] or task_record(id)
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
    root_at = math.min(root_at, parent.root_at or parent.pushed_at)
  end
  return {
    open = failed and 0 or open, failed = failed, root_at = root_at, ids = failed and {} or ids, edges = edges,
    count = size, user = first.user, prio = first.prio, instead = #instead > 0 and table.concat(instead) or nil,
  }
end
