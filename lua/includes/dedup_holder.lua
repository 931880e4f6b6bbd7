-- dedup_holder: the task that holds a deduplication key; nil when none does. One that was to hold it until its end does
-- so while there is a record of it; one that holds it for a time, until then.
local function dedup_holder(dedup)
  local value = call("GET", P .. "dedup:" .. dedup)
  local id, until_ms = string.match(value or "", "^([^\n]+)\n?(%d*)$")
  if until_ms == "" then return task(id).r.state and id or nil end
  return id and tonumber(until_ms) > now_ms and id or nil
end
