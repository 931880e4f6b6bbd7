-- task: fields of a task's record by name; absent ones are false.
local function task(id, ...)
  local names = {...}
  local values = call("HMGET", P .. "t:" .. id, ...)
  local t = {id = id, key = P .. "t:" .. id}
  for index = 1, #names do t[names[index]] = values[index] end
  return t
end

-- What an ending needs to know of a running task.
local function running_task(id)
  return task(id, "state", "token", "user", "prio", "st", "charged", "score", "attempt", "deliv", "fails", "cancel",
    "watch", "dedup", "settled", "worker")
end
