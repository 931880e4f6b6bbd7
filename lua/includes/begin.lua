-- begin: what every script starts with. Gives the server's time in microseconds, or the answer that refuses the call.
-- KEYS[1] is the meta key; P, what all keys of the queue begin with, comes from it. The schema is that of call.py.
local call = redis.call
local P = string.sub(KEYS[1], 1, -5)
local now, now_ms

local function int(number) return string.format("%.0f", number) end

local function begin()
  local meta = call("HMGET", KEYS[1], "schema", "test")
  if meta[1] and meta[1] ~= "1" then return {-6, meta[1]} end
  local fixed = meta[2] == "1" and call("GET", P .. "now")
  if fixed then
    now = tonumber(fixed)
  else
    local time = call("TIME")
    now = time[1] * 1000000 + time[2]
  end
  now_ms = math.floor(now / 1000)
end
