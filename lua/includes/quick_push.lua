-- quick_push: stores plain tasks without the functions of the rest of the script, whose definitions alone cost more
-- than this. It reads and checks everything before its first write; what is not plain is left to the rest. Both must
-- do the same: a test compares them.
--- @include "call"
--- @include "task_format"
--- @include "globals_format"
--- @include "user_format"
repeat
  local argv, size = ARGV, #ARGV
  if size < 4 or size % 2 ~= 0 or size > 2 + 2 * 1000 or not string.find(argv[1], "^%d+$") or #argv[1] > 7
    or not string.find(argv[2], "^%d+$") or #argv[2] > 15 then break end
  local limit = tonumber(argv[1])
  if limit > 1048576 then break end
--- @include "quick_begin"
  if meta[5] and meta[5] ~= "0" then break end

  -- Each task is plain and new. Tasks of a batch often have the same head: it is looked at once.
  local keys, ids, seen_ids, users, owners, total, plain = {}, {}, {}, {}, {}, 0, true
  local last_head, user_from, user_to
  for first = 3, size, 2 do
    local id, content, number = argv[first], argv[first + 1], #ids + 1
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
    total = total + bytes
    plain = plain and bytes >= 0 and bytes <= limit and total <= 4194304 and not seen_ids[id] and id ~= ""
      and #id <= 128 and not string.find(id, "%c") and (owners[user] or not string.find(user, "%c"))
    if not plain then break end
    seen_ids[id] = true
    keys[number], ids[number], users[number] = P .. "t:" .. id, id, user
    if not owners[user] then
      owners[user] = true
      owners[#owners + 1] = user
    end
  end
  if not plain or read("EXISTS", unpack(keys)) ~= 0 then break end
  local records = read("HMGET", P .. "a", unpack(ids))
  if records.err then break end
  for place = 1, #ids do plain = plain and not records[place] end
  if not plain then break end

  -- Each user has work, or becomes runnable as one that comes.
  local texts, fresh = read("HMGET", P .. "u", unpack(owners)), read("ZCARD", P .. "fresh")
  if texts.err or type(fresh) ~= "number" then break end
  local burst, comers = counted and 8 or 1000000, {}
  for place, user in ipairs(owners) do
    local text = texts[place]
    local S, served, since, ewma, inf, lane = -math.huge, 0, now_ms, 0, 0, 0
    if text then
      plain = #text == USER_SIZE
      if not plain then break end
      S, served, since, ewma, inf, lane = struct.unpack(USER, text)
      plain = S > -FAR and S < 2 ^ 52 and served >= 0 and served < 2 ^ 53 and since >= 0 and since < 2 ^ 53
        and ewma >= 0 and ewma < 2 ^ 53 and lane <= 2
      if not plain then break end
    end
    if lane == 0 then
      if fresh == 0 then
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
      if comes_fresh then aseq, fresh = aseq + 1, fresh + 1 end
      comers[#comers + 1] = {
        user, comes_fresh and "fresh" or "ready", comes_fresh and string.format("%d", aseq) or S, text,
        struct.pack(USER, S, served, since, ewma, inf, comes_fresh and 1 or 2),
      }
    end
  end
  if not plain then break end

  local values, places, reply, format = {}, {}, {1}, string.format
  for place, id in ipairs(ids) do
    local at, user = #values, users[place]
    clk = math.max(now, clk + 1)
    values[at + 1], values[at + 2] = keys[place], struct.pack("<Bd", BODY, clk) .. argv[2 * place + 2]
    local of_user = places[user]
    if not of_user then
      of_user = {}
      places[user] = of_user
    end
    of_user[#of_user + 1], of_user[#of_user + 2] = format("%d", clk - 120000000), id
    reply[#reply + 1], reply[#reply + 2], reply[#reply + 3] = 1, "QUEUED", id
  end
  for user, of_user in pairs(places) do call("ZADD", P .. "n:" .. user, unpack(of_user)) end
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
