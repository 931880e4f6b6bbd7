-- quick_plan: reads the rings for quick_pop. Users are known by their places in `names`: first those of the fresh ring,
-- then those of the ready ring, then those that have paid their debts.
if queue_flags % 16 >= 8 then break end
local format, to = string.format, string.format("%d", wanted - 1)
local paid, least_debt
if owe_min <= V then
  paid = read("ZRANGEBYSCORE", P .. "owe", "-inf", format("%.17g", V), "LIMIT", "0", format("%d", 2 * wanted))
  if paid.err then break end
  local left = read("ZRANGE", P .. "owe", format("%d", #paid), format("%d", #paid), "WITHSCORES")
  least_debt = math.min(2 ^ 53, tonumber(left[2] or 2 ^ 53))
  if not paid[1] then owe_min, paid = least_debt, nil end
end
local heads = read("ZRANGE", P .. "ready", "0", to, "WITHSCORES")
local names = fresh_n > 0 and read("ZRANGE", P .. "fresh", "0", to) or {}
if names.err or heads.err then break end
local new, last = #names, #heads / 2
local who, first, first_fresh = new + last, 1, 1
more = last == wanted
