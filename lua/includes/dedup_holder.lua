-- dedup_holder: the task that holds a deduplication key, or nil. A task that holds it until its end does so while its
-- record exists; a task that holds it for a time, until that time.
local function dedup_holder(dedup)
  local value = call("GET", P .. "dedup:" .. dedup)
  local id, until_ms = string.match(value or "", "^([^\n]+)\n?(%d*)$")
  if until_ms == "" then return task(id).r.state and id or nil end
  return id and tonumber(until_ms) > now_ms and id or nil
end
