-- backlog: refuses a push that would exceed the backlog of its user or queue. `fresh` are the new tasks. The answer has
-- the delay after which to retry: about the time that the workers need for the excess.
--- @include "waiting_of"
local function pause_ms(excess)
  local each_us = counted and 1000000 or g.est0
  return int(math.max(1000, math.min(60000, excess * each_us / 1000 / math.max(1, call("ZCARD", P .. "running")))))
end

-- The answer that refuses `number` more waiting tasks because of the queue's backlog.
local function queue_is_full(number)
  local most = backlog or 0
  if most == 0 then return nil end
  local waiting = g.queued + call("ZCARD", P .. "delayed") + call("ZCARD", P .. "deferred")
  local excess = waiting + number - most
  if excess > 0 then return {-7, "", int(most), int(waiting), pause_ms(excess)} end
end

-- The answer that refuses `number` more waiting tasks because of the user's backlog.
local function user_is_full(id, number)
  local most = limited and backlog_of(id)
  if not most then return nil end
  local queued, critical = waiting_of(id, user_record(id))
  local waiting = queued + critical + call("ZCARD", P .. "s:" .. id)
  local excess = waiting + number - most
  if excess > 0 then return {-7, id, int(most), waiting, pause_ms(excess)} end
end

local function over_backlog(fresh)
  local full, more = queue_is_full(#fresh), {}
  if full or not limited then return full end
  for _, entry in ipairs(fresh) do more[entry.owner] = (more[entry.owner] or 0) + 1 end
  for id, number in pairs(more) do full = full or user_is_full(id, number) end
  return full
end
