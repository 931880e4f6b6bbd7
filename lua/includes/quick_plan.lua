-- quick_plan: reads the rings for quick_pop. Users are known by their places in `names`: first those of the fresh ring,
-- then those of the ready ring, then those that have paid their debts.
if queue_flags % 16 >= 8 then break end
local format, to = string.format, string.format("%d", wanted - 1)
local paid, least_debt = {}, owe_min
if owe_min <= V then
  paid = read("ZRANGEBYSCORE", P .. "owe", "-inf", format("%.17g", V), "LIMIT", "0", format("%d", 2 * wanted))
  if paid.err then break end
  local left = read("ZRANGE", P .. "owe", format("%d", #paid), format("%d", #paid), "WITHSCORES")
  least_debt = math.min(2 ^ 53, tonumber(left[2] or 2 ^ 53))
end
local names = fresh_n > 0 and read("ZRANGE", P .. "fresh", "0", to) or {}
local heads = read("ZRANGE", P .. "ready", "0", to, "WITHSCORES")
if names.err or heads.err then break end
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
