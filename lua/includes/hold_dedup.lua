-- hold_dedup: makes a new task hold its deduplication key, until its end or for a time.
local function hold_dedup(t, dedup, ttl_ms)
  if not dedup then return end
  if ttl_ms > 0 then
    -- The key expires on the server's clock, but the queue's clock decides.
    call("SET", P .. "dedup:" .. dedup, t.id .. "\n" .. int(now_ms + ttl_ms), "PX", int(ttl_ms))
  else
    call("SET", P .. "dedup:" .. dedup, t.id)
    t.r.dedup = dedup
  end
end
