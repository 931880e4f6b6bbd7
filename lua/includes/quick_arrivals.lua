-- quick_arrivals: makes users runnable whose list had no task, if they had no other work either; a part of the block of
-- quick_push. If one of them cannot become runnable here, `plain` is false and nothing is written.
local texts, burst, comers = read("HMGET", P .. "u", unpack(alone)), counted and 8 or 1000000, {}
plain = not texts.err
for place, user in ipairs(plain and alone or {}) do
  local text = texts[place]
  local S, served, since, ewma, inf, lane = -math.huge, 0, now_ms, 0, 0, 0
  if text then
    plain = #text == USER_SIZE
    if not plain then break end
    S, served, since, ewma, inf, lane = struct.unpack(USER, text)
    plain = S > -FAR and S < 2 ^ 52 and served >= 0 and served < 2 ^ 53 and since >= 0 and since < 2 ^ 53
      and ewma >= 0 and ewma < 2 ^ 53 and (lane <= 2 or lane == SORTED + 1 or lane == SORTED + 2)
    if not plain then break end
  end
  if lane == 0 then
    if fresh_n == 0 then
      -- With nobody fresh a second one would have to look at the ring to which the first has gone.
      plain = #comers == 0
      local head = read("ZRANGE", P .. "ready", 0, 0, "WITHSCORES")
      local debt = read("ZREVRANGE", P .. "owe", 0, 0, "WITHSCORES")
      if not plain or head.err or debt.err then plain = false break end
      local tag = tonumber(head[2] or debt[2] or 0)
      plain = tag and tag > -FAR and tag < 2 ^ 52
      if not plain then break end
      V = math.max(V, tag)
    end
    local comes_fresh = inf == 0 and S <= V + burst
    S = math.max(S, V)
    if comes_fresh then aseq, fresh_n = aseq + 1, fresh_n + 1 end
    comers[#comers + 1] = {
      user, comes_fresh and "fresh" or "ready", comes_fresh and string.format("%d", aseq) or S, text,
      struct.pack(USER, S, served, since, ewma, inf, comes_fresh and 1 or 2),
    }
  end
end
for _, comer in ipairs(plain and comers or {}) do
  call("ZADD", P .. comer[2], comer[3], comer[1])
  if comer[4] then call("ZREM", P .. "owe", comer[1]) else call("ZADD", P .. "users", "0", comer[1]) end
  call("HSET", P .. "u", comer[1], comer[5])
end
