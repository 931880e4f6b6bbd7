#!lua flags=no-writes
--[[ read_stats: returns the sizes and counters of the queue, each read in constant time.
  KEYS[1] meta
  Returns {1, now_ms, delayed, deferred, running, dead, kept, held, ready, fresh, critical, counter, value, ...} with
    the sizes of the indexes and then the counters since the queue was created, 0 for one that cannot be read
    | {-6, schema} ]]
--- @include "access"
--- @include "begin"
--- @include "reading"
local refused = begin_reading()
if refused then return refused end

local reply = {1, int(wall_ms)}
for _, index in ipairs({"delayed", "deferred", "running", "dead", "kept", "held", "ready", "fresh", "critical"}) do
  reply[#reply + 1] = index == "running" and running_tasks() or call("ZCARD", P .. index)
end
local counted_things = call("HMGET", P .. "counts", unpack(COUNTERS))
for place, name in ipairs(COUNTERS) do
  reply[#reply + 1] = name
  reply[#reply + 1] = int(g[name] or whole(counted_things[place]) or 0)
end
return reply
