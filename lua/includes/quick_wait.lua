-- quick_wait: says whether another pop may find work, and when the next is due otherwise; a part of quick_pop.
if fresh_n > 0 or ready_left or (more and call("EXISTS", P .. "ready") > 0) then
  if call("LLEN", P .. "wake") == 0 then call("LPUSH", P .. "wake", "1") end
else
  -- An idle worker waits for what is due first: the bound may be too early.
  local running = call("ZRANGE", P .. "running", "0", "0", "WITHSCORES")
  local delayed = call("ZRANGE", P .. "delayed", "0", "0", "WITHSCORES")
  local timers = queue_flags >= 16 and call("ZRANGE", P .. "timers", "0", "0", "WITHSCORES") or {}
  next_at = math.min(2 ^ 53, tonumber(running[2] or 2 ^ 53), tonumber(delayed[2] or 2 ^ 53),
    math.ceil(tonumber(timers[2] or 2 ^ 63) / 1000))
  reply[2], reply[3] = 0, next_at == 2 ^ 53 and -1 or math.max(0, next_at - now_ms)
end
