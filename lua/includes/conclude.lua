-- conclude: the one way into a terminal state. Stores the result or error, frees the message and the deduplication
-- key, puts the record into the retention index, and tells the processes that wait for it.
local INLINE = 16384 -- bytes of a result that still travel with the message that announces it

local function publish(t, state, blob)
  local line = t.id .. "\n" .. state .. "\n" .. (#blob <= INLINE and "1" .. blob or "0")
  for _, listener in ipairs(call("SMEMBERS", P .. "w:" .. t.id)) do
    call("PUBLISH", P .. "done:" .. listener, line)
  end
  call("DEL", P .. "w:" .. t.id)
end

local function conclude(t, state, blob, ttl_ms)
  call("HSET", t.key, "state", state, "ended_at", int(now_ms))
  if blob ~= "" then call("SET", P .. "r:" .. t.id, blob) end
  if state == "FAILED" then
    call("ZADD", P .. "dead", int(now_ms), t.id)
  else
    call("DEL", P .. "m:" .. t.id)
  end
  call("ZADD", P .. "kept", int(now_ms + ttl_ms), t.id)
  if t.dedup and call("GET", P .. "dedup:" .. t.dedup) == t.id then call("DEL", P .. "dedup:" .. t.dedup) end
  if t.watch then publish(t, state, blob) end
  count(string.lower(state), 1)
  return state
end
