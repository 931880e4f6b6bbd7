-- backlog: refuses tasks that would leave more of them waiting than their user or their queue may have. The producer
-- may try again after about as long as the workers need for what is too much.
local function pause_ms(excess)
  local each_us = counted and 1000000 or g.est0
  return int(math.max(1000, math.min(60000, excess * each_us / 1000 / math.max(1, call("ZCARD", P .. "running")))))
end

local function refusal(id, most, waiting, number)
  local excess = waiting + number - most
  if excess > 0 then return {-7, id, int(most), int(waiting), pause_ms(excess)} end
end

-- The refusal when `number` more tasks are too many for the queue; else nil.
local function too_many_for_queue(number)
  local most = tonumber(backlog) or 0
  if most == 0 then return nil end
  local waiting = (tonumber(call("HGET", P .. "counts", "queued")) or 0) + call("ZCARD", P .. "delayed")
    + call("ZCARD", P .. "deferred")
  return refusal("", most, waiting, number)
end

local function too_many_for_user(id, number)
  local most = limited and backlog_of(id)
  if not most then return nil end
  local waiting = call("ZCARD", P .. "n:" .. id) + call("ZCARD", P .. "c:" .. id) + call("ZCARD", P .. "s:" .. id)
  return refusal(id, most, waiting, number)
end
