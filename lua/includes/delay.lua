-- delay: keeps a task until its time in milliseconds. An idle worker is woken when that is sooner than all others'.
local function delay(id, due_ms)
  local head = tonumber(call("ZRANGE", P .. "delayed", 0, 0, "WITHSCORES")[2])
  call("ZADD", P .. "delayed", int(due_ms), id)
  if not head or due_ms < head then entered = true end
end
