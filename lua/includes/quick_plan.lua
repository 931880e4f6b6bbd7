-- quick_plan: reads the rings for quick_pop, and leaves its block if anything is due. Users are known by their places
-- in `names`: first those of the fresh ring, then those of the ready ring, then those that have paid their debts.
local format, to = string.format, string.format("%d", wanted - 1)
local running = read("ZRANGE", P .. "running", "0", "0", "WITHSCORES")
local delayed = read("ZRANGE", P .. "delayed", "0", "0", "WITHSCORES")
local paid = read("ZRANGEBYSCORE", P .. "owe", "-inf", format("%.17g", V), "LIMIT", "0", format("%d", 2 * wanted))
local names, heads = read("ZRANGE", P .. "fresh", "0", to), read("ZRANGE", P .. "ready", "0", to, "WITHSCORES")
if running.err or delayed.err or paid.err or names.err or heads.err
  or read("EXISTS", P .. "critical", P .. "timers", P .. "pending") ~= 0 then break end
local soonest = math.min(tonumber(running[2] or math.huge), tonumber(delayed[2] or math.huge))
if soonest <= now_ms then break end
local new, order, scores, tags = #names, {}, {}, {}
for place = 1, #heads / 2 do
  names[new + place], order[place] = heads[2 * place - 1], new + place
  scores[place] = tonumber(heads[2 * place])
  tags[new + place] = scores[place]
end
local who, last = #names, #order
local more, first, first_fresh = last == wanted, 1, 1
for place, name in ipairs(paid) do names[who + place] = name end
local stored_users = names[1] and read("HMGET", P .. "u", unpack(names)) or {}
if stored_users.err then break end
