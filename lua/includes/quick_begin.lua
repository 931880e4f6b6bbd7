-- quick_begin: what every quick path reads first: the scheduler record, whose flags say what has to be known of the
-- settings, and the time. It is a part of their blocks, and leaves them with `break` if a value is not a usual one, or
-- there are default limits. Users with limits of their own have a longer record, with which a block ends, too.
local read = redis.pcall
local stored = read("GET", P .. "g")
if type(stored) ~= "string" or #stored < GLOBALS_SIZE then break end
local version, queue_flags, bs, cg, V, aseq, est0, pop_at, queued, pushed, finished, seen, shift, clk, next_at, owe_min,
  fresh_n, kept_at = struct.unpack(GLOBALS, stored)
-- NaN is in no range.
if version ~= GLOBALS_VERSION or queue_flags >= 32 or not (V >= 0 and V < 2 ^ 52 and aseq >= 0 and aseq < 2 ^ 52
  and est0 >= 1 and est0 < 2 ^ 52 and pop_at >= 0 and pop_at < 2 ^ 52 and queued >= 0 and queued < 2 ^ 52
  and pushed >= 0 and pushed < 2 ^ 52 and finished >= 0 and finished < 2 ^ 52 and shift >= 0 and shift < 2 ^ 42
  and shift % 1 == 0 and clk >= 0 and clk < 2 ^ 52 and next_at >= 0 and next_at <= 2 ^ 53 and owe_min >= -(2 ^ 53)
  and owe_min <= 2 ^ 53 and fresh_n >= 0 and fresh_n < 2 ^ 52 and kept_at >= 0 and kept_at <= 2 ^ 53) then break end
local now = queue_flags % 2 == 1 and tonumber(read("GET", P .. "now"))
if queue_flags % 2 == 0 then
  local time = read("TIME")
  now = time[1] * 1000000 + time[2]
end
if not now or not (seen >= 0 and seen <= now + shift * 1000 and seen % 1 == 0) then break end
now = now + shift * 1000
local now_ms, counted = math.floor(now / 1000), queue_flags % 4 >= 2
