-- parents: the tasks that a new one depends on, a line each: c or r, whether it is canceled with them or runs all the
-- same, and the id. A parent in the same push comes before its dependents.
local stands_for = {} -- ids of this push for which another task stands, by its deduplication key

-- How many have not ended, whether one has failed that cancels the task, and when the first of them all was pushed, in
-- microseconds; or the id of one that is not known.
local function look_at_parents(lines, here)
  local open, failed, root_at, list = 0, nil, now, {}
  for line in string.gmatch(lines, "[^\n]+") do
    local id = string.sub(line, 2)
    id = stands_for[id] or id
    local parent = here[id] or record(P .. "t:" .. id)
    if not parent then return nil, id end
    if parent.state == "FAILED" or parent.state == "CANCELED" then
      if string.sub(line, 1, 1) == "c" then failed = failed or id end
    elseif parent.state ~= "FINISHED" then
      open = open + 1
      list[#list + 1] = {id = id, line = string.sub(line, 1, 1)}
    end
    root_at = math.min(root_at, parent.root_at or parent.pushed_at * 1000)
  end
  return {open = failed and 0 or open, failed = failed, root_at = root_at, list = failed and {} or list}
end

-- Keeps a task until its parents have ended, each of which is to tell it.
local function defer(t, parents)
  for _, parent in ipairs(parents.list) do
    call("RPUSH", P .. "d:" .. parent.id, parent.line .. t.id)
    local of_parent = task(parent.id)
    of_parent.r.kids = true
    will_write(of_parent)
  end
  add_to("deferred", now_ms, t.id)
  add_to("s:" .. t.r.user, "+inf", t.id)
end
