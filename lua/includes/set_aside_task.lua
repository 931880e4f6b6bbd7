-- set_aside_task: sets the unreadable record of a task aside. Returns what was pushed, empty if that cannot be read,
-- and what became of the record, for a message.
local function set_aside_task(t)
  local gone = unreadable_tasks[t.id] and "cannot be read and was set aside" or "is gone"
  if attempted[t.id] then
    call("SET", P .. "broken:a:" .. t.id, call("HGET", P .. "a", t.id), "PX", ASIDE_MS)
    call("HINCRBY", P .. "counts", "broken", 1)
    call("HDEL", P .. "a", t.id)
    attempted[t.id] = nil
  end
  local sound, r = pcall(parse_task, head_of(t.id), false)
  if sound and not r.ended_at then return r, gone end
  if call("EXISTS", P .. "t:" .. t.id) == 1 then set_aside(P .. "t:" .. t.id) end
  return {}, gone
end
