-- conclude: the only transition into a terminal state. Stores the result or error with the record, which takes the
-- place of the message unless the task has FAILED; frees the deduplication key, puts the task into the retention index,
-- and notifies the processes that wait for it.
--- @include "announce"
local function conclude(t, state, blob, ttl_ms, xcom)
  local r = t.r
  r.state, r.ended_at = state, now_ms
  will_write(t)
  if #blob > INLINED then
    store_key(P .. "r:" .. t.id, blob)
    r.large = true
  elseif blob ~= "" then
    r.result = blob
  end
  if state == "FAILED" then add_to("dead", now_ms, t.id) end
  if xcom and xcom ~= "" then
    store_key(P .. "x:" .. t.id, xcom)
    r.xcom = true
  end
  if r.kids or r.xcom then r.keep = ttl_ms end
  add_to(r.keep and "held" or "kept", now_ms + ttl_ms, t.id)
  if r.dedup and call("GET", P .. "dedup:" .. r.dedup) == t.id then call("DEL", P .. "dedup:" .. r.dedup) end
  if r.kids then await_notice((state == "FINISHED" and "F" or "X") .. t.id) end
  if r.watch then announce(t, state, blob) end
  count(string.lower(state), 1)
  return state
end
