#!lua flags=no-writes
--[[ read_stats: the queue in numbers, each read in constant time.
  KEYS[1] meta
  Returns {1, now_ms, delayed, deferred, running, dead, kept, held, ready, fresh, critical, counter, value, ...} with
    the sizes of the indexes and then the counters since the queue was made | {-6, schema} ]]
--- @include "begin"
local refused = begin()
if refused then return refused end

local reply = {1, int(wall_ms)}
for _, index in ipairs({"delayed", "deferred", "running", "dead", "kept", "held", "ready", "fresh", "critical"}) do
  reply[#reply + 1] = call("ZCARD", P .. index)
end
for _, item in ipairs(call("HGETALL", P .. "counts")) do reply[#reply + 1] = item end
return reply
