-- quick_begin: what every quick path reads first: the settings of the queue, the scheduler record and the time. It is a
-- part of their blocks, and leaves them with `break` if a value is not a usual one, or limits of users were ever set.
local read = redis.pcall
local meta = read("HMGET", KEYS[1], "schema", "test", "cost_mode", "limits", "backlog", "born")
local stored = read("GET", P .. "g")
if meta.err or meta[1] ~= "1" or meta[4] or not meta[6] or type(stored) ~= "string" or #stored < GLOBALS_SIZE then
  break
end
local version, bs, cg, V, aseq, est0, pop_at, queued, pushed, finished, seen, shift, clk =
  struct.unpack(GLOBALS, stored)
-- NaN is in no range.
if version ~= GLOBALS_VERSION or not (V >= 0 and V < 2 ^ 52 and aseq >= 0 and aseq < 2 ^ 52 and est0 >= 1
  and est0 < 2 ^ 52 and pop_at >= 0 and pop_at < 2 ^ 52 and queued >= 0 and queued < 2 ^ 52 and pushed >= 0
  and pushed < 2 ^ 52 and finished >= 0 and finished < 2 ^ 52 and shift >= 0 and shift < 2 ^ 42
  and shift % 1 == 0 and clk >= 0 and clk < 2 ^ 52) then break end
local now = meta[2] == "1" and tonumber(read("GET", P .. "now"))
if not meta[2] then
  local time = read("TIME")
  now = time[1] * 1000000 + time[2]
end
if not now or not (seen >= 0 and seen <= now + shift * 1000 and seen % 1 == 0) then break end
now = now + shift * 1000
local now_ms, counted = math.floor(now / 1000), meta[3] == "count"
