-- quick_push: stores plain tasks without the functions of the rest of the script, whose definitions alone cost more
-- than this. It reads and checks everything before its first write, or undoes it; what is not plain is left to the
-- rest. Both must do the same: a test compares them.
--- @include "access"
--- @include "formats"
repeat
  local argv, size = ARGV, #ARGV
  if size < 4 or size % 2 ~= 0 or size > 2 + 2 * 1000 or not string.find(argv[1], "^%d+$") or #argv[1] > 7
    or not string.find(argv[2], "^%d+$") or #argv[2] > 15 then break end
  local limit = tonumber(argv[1])
  if limit > 1048576 then break end
--- @include "quick_begin"
  if queue_flags % 8 >= 4 then break end

  -- Each task is plain and new. Tasks of a batch often have the same head: it is looked at once.
  local keys, ids, seen_ids, lists, owners, total, plain = {}, {}, {}, {}, {}, 0, true
  local last_head, user_from, user_to
  for first = 3, size, 2 do
    local id, content = argv[first], argv[first + 1]
    local own_head = string.sub(content, 1, CONTENT_SIZE)
    if own_head ~= last_head then
      plain = #own_head == CONTENT_SIZE
      if not plain then break end
      local prio, timeout, cost, digest, length = struct.unpack(CONTENT, own_head)
      plain = prio == 3 and timeout >= 0 and timeout < 2 ^ 53 and timeout % 1 == 0
        and (cost == -1 or cost >= 0 and cost < 2 ^ 53 and cost % 1 == 0) and digest == 8
        and length > 0 and length <= 128
      last_head, user_from, user_to = own_head, CONTENT_SIZE + digest + 1, CONTENT_SIZE + digest + length
    end
    local user, bytes = string.sub(content, user_from, user_to), #content - user_to
    local list = lists[user]
    total = total + bytes
    plain = plain and bytes >= 0 and bytes <= limit and total <= 4194304 and not seen_ids[id] and id ~= ""
      and #id <= 128 and not string.find(id, "%c") and (list or not string.find(user, "%c"))
    if not plain then break end
    seen_ids[id] = true
    keys[#keys + 1], ids[#ids + 1] = P .. "t:" .. id, id
    if list then list[#list + 1] = id else
      owners[#owners + 1], lists[user] = user, {id}
    end
  end
  if not plain or read("EXISTS", unpack(keys)) ~= 0 then break end
  local records = read("HMGET", P .. "a", unpack(ids))
  if records.err then break end
  for place = 1, #ids do plain = plain and not records[place] end
  if not plain then break end

  -- A user whose list has other tasks stays where it is. The others may have no work yet: then they become runnable. If
  -- one of these cannot do so here, the lists get back their length.
  local alone, comers = {}, {}
  for _, user in ipairs(owners) do
    if call("RPUSH", P .. "n:" .. user, unpack(lists[user])) == #lists[user] then alone[#alone + 1] = user end
  end
  local texts, burst = alone[1] and read("HMGET", P .. "u", unpack(alone)) or {}, counted and 8 or 1000000
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
  if not plain then
    for _, user in ipairs(owners) do call("LTRIM", P .. "n:" .. user, 0, -1 - #lists[user]) end
    break
  end

  local values, reply = {}, {1}
  for place, id in ipairs(ids) do
    local at = #values
    clk = math.max(now, clk + 1)
    values[at + 1], values[at + 2] = keys[place], struct.pack("<Bd", BODY, clk) .. argv[2 * place + 2]
    reply[#reply + 1], reply[#reply + 2], reply[#reply + 3] = 1, "QUEUED", id
  end
  for _, comer in ipairs(comers) do
    call("ZADD", P .. comer[2], comer[3], comer[1])
    if comer[4] then call("ZREM", P .. "owe", comer[1]) else call("ZADD", P .. "users", "0", comer[1]) end
    call("HSET", P .. "u", comer[1], comer[5])
  end
  call("MSET", unpack(values))
  queued, pushed = queued + #keys, pushed + #keys
--- @include "quick_end"
  if call("LLEN", P .. "wake") == 0 then call("LPUSH", P .. "wake", "1") end
  do return reply end
until true
