-- conclude: the one way into a terminal state. Stores the result or error, frees the message and the deduplication
-- key, puts the record into the retention index, and tells the processes that wait for it.
local INLINE = 16384 -- bytes of a result that still travel with the message that announces it
local results_in, messages_out = batch("MSET"), batch("DEL")
local kept_out, kept_in = batch("ZREM", "kept"), batch("ZADD", "kept")
local dead_out, dead_in = batch("ZREM", "dead"), batch("ZADD", "dead")

local function publish(t, state, blob)
  local line = t.id .. "\n" .. state .. "\n" .. (#blob <= INLINE and "1" .. blob or "0")
  for _, listener in ipairs(call("SMEMBERS", P .. "w:" .. t.id)) do
    call("PUBLISH", P .. "done:" .. listener, line)
  end
  call("DEL", P .. "w:" .. t.id)
end

local function conclude(t, state, blob, ttl_ms)
  local r = t.r
  r.state, r.ended_at = state, now_ms
  will_write(t)
  if blob ~= "" then put(results_in, P .. "r:" .. t.id, blob) end
  if state == "FAILED" then
    put(dead_in, now_ms, t.id)
  else
    messages_out[#messages_out + 1] = P .. "m:" .. t.id
  end
  put(kept_in, now_ms + ttl_ms, t.id)
  if r.dedup and call("GET", P .. "dedup:" .. r.dedup) == t.id then call("DEL", P .. "dedup:" .. r.dedup) end
  if r.watch then publish(t, state, blob) end
  count(string.lower(state), 1)
  return state
end
