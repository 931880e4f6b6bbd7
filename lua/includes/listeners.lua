-- listeners: the processes that wait for the end of a task. `w:` stores each with the time until which it listens; a
-- process renews it, so that the ones that died are forgotten.
local TOLD = 256 -- listeners notified at a time, so that a hundred thousand of them do not block the server

local function listen(id, listener, ttl_ms)
  local key = P .. "w:" .. id
  if call("ZADD", key, int(now_ms + ttl_ms), listener) == 1 then
    local gone = call("ZRANGE", key, "-inf", int(now_ms), "BYSCORE", "LIMIT", 0, TOLD)
    if #gone > 0 then call("ZREM", key, unpack(gone)) end
  end
  call("PEXPIRE", key, int(ttl_ms))
end

local function publish(listeners, news)
  for _, listener in ipairs(listeners) do call("PUBLISH", P .. "done:" .. listener, news) end
end

-- Publishes the end of a task to its first `most` listeners and removes them. Returns their number.
local function tell_end(id, news, most)
  local key = P .. "w:" .. id
  local told = call("ZRANGE", key, 0, most - 1)
  publish(told, news)
  if #told < most then call("DEL", key) else call("ZREMRANGEBYRANK", key, 0, most - 1) end
  return #told
end
