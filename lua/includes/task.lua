-- task: fields of a task's record by name; absent ones are false.
local function task(id, ...)
  local names = {...}
  local values = call("HMGET", P .. "t:" .. id, ...)
  local t = {id = id, key = P .. "t:" .. id}
  for index = 1, #names do t[names[index]] = values[index] end
  return t
end

-- When the attempt of a running task began, in microseconds: its fence is that time.
local function started_at(t) return tonumber(string.match(t.token or "", "^%d+")) or now end

-- What every ending needs to know of a running task. Written out, since this is where a queue spends its time.
local function running_task(id)
  local key = P .. "t:" .. id
  local field = call("HMGET", key, "state", "token", "user", "charged", "watch", "dedup", "settled")
  return {
    id = id, key = key, state = field[1], token = field[2], user = field[3], charged = field[4], watch = field[5],
    dedup = field[6], settled = field[7],
  }
end

-- And what those need that do not end it for good.
local function add_history(t)
  local field = call("HMGET", t.key, "prio", "score", "attempt", "fails", "lost", "cancel", "worker")
  t.prio, t.score, t.attempt, t.fails, t.lost, t.cancel, t.worker = unpack(field, 1, 7)
end
