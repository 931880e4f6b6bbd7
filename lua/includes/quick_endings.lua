-- quick_endings: ends attempts of tasks without dependents and stored values; a part of quick paths. `head` is how many
-- arguments precede those of the tasks, `ttl` the retention time. It puts the codes into `codes`. With `next_at` 0 the
-- dependents of other tasks are to be notified.
if next_at == 0 then break end
if (#ARGV - head) % 5 ~= 0 or #ARGV > head + 5 * 100 or not string.find(ttl, "^%d+$") or #ttl > 15 then break end
local ids, number, listeners, usual = {}, 0, 0, true
for first = head + 1, #ARGV, 5 do
  local ran = ARGV[first + 2]
  if ARGV[first + 4] ~= "" or not string.find(ran, "^%d+$") or #ran > 15 then usual = false end
  number = number + 1
  ids[number] = ARGV[first]
end
if not usual then break end
local stored_tasks, tasks, owners, places, gone, told = read("HMGET", P .. "a", unpack(ids)), {}, {}, {}, {}, {}
if stored_tasks.err then break end
for place = 1, number do
  local first = head + 5 * place - 4
  local text, id, token = stored_tasks[place] or "", ARGV[first], ARGV[first + 1]
  usual = #text >= TASK_HEAD_SIZE and not tasks[id] and string.find(token, "^%d+:")
  if not usual then break end
  local kind, pushed_at, prio, timeout, cost, digest, user = struct.unpack(TASK_HEAD, text)
  local at = TASK_HEAD_SIZE + digest + user
  usual = kind == RECORD and prio >= 1 and prio <= 6 and pushed_at >= 0 and pushed_at < 2 ^ 53 and timeout >= 0
    and timeout < 2 ^ 53 and cost >= -1 and cost < 2 ^ 53 and #text >= at + ATTEMPT_SIZE
  if not usual then break end
  local state, flags, ended_at, size, score, charged, attempt, _, _, held, settled, by, map =
    struct.unpack(ATTEMPT, text, at + 1)
  local rest = at + ATTEMPT_SIZE + 1
  local after = rest + held + settled + by
  usual = state == STATE_NUMBERS.STARTED and flags < 8 and charged > 0 and charged < 2 ^ 53
    and attempt > 0 and score > -(2 ^ 53) and score < 2 ^ 53 and size == 0 and ended_at == 0
    and string.sub(text, rest, rest + held - 1) == token and after + map == #text + 1
  if not usual then break end
  local r = {user = string.sub(text, TASK_HEAD_SIZE + digest + 1, at), text = text, at = at, charged = charged,
    flags = flags}
  tasks[place], tasks[id] = r, true
  if map > 0 then
    local sound, more = pcall(cmsgpack.unpack, string.sub(text, after))
    usual = sound and type(more) == "table" and type(more.dedup) == "string" and not next(more, next(more))
    if not usual then break end
    local key = P .. "dedup:" .. more.dedup
    if read("GET", key) == id then gone[#gone + 1] = key end
  end
  if flags % 8 >= 4 then
    local key = P .. "w:" .. id
    local of_task = read("ZRANGE", key, "0", "255")
    told[place], gone[#gone + 1], listeners = of_task, key, listeners + #of_task
    usual = not of_task.err and listeners < 256
    if not usual then break end
  end
  if not places[r.user] then
    owners[#owners + 1] = r.user
    places[r.user] = #owners
  end
end
if not usual then break end
local users, records = read("HMGET", P .. "u", unpack(owners)), {}
if users.err then break end
for place, text in ipairs(users) do
  if not text or #text ~= USER_SIZE then usual = false break end
  local S, served, since, ewma, inf, lane = struct.unpack(USER, text)
  usual = S > -FAR and S < 2 ^ 52 and served >= 0 and served < 2 ^ 52 and since >= 0 and since < 2 ^ 53
    and ewma >= 0 and ewma < 2 ^ 53 and (lane <= 2 or lane == SORTED + 1 or lane == SORTED + 2)
  if not usual then break end
  records[place] = {S = S, served = served, since = since, ewma = ewma, inf = inf, lane = lane, before = S}
end
if not usual then break end
local old = {}
if kept_at <= now_ms then
  local held = read("ZRANGE", P .. "held", "0", "0", "WITHSCORES")
  old = read("ZRANGEBYSCORE", P .. "kept", "-inf", string.format("%d", now_ms), "LIMIT", 0, 2 * number)
  if held.err or old.err or tonumber(held[2] or 2 ^ 53) <= now_ms then break end
  local left = read("ZRANGE", P .. "kept", #old, #old, "WITHSCORES")
  kept_at = math.min(2 ^ 53, tonumber(held[2] or 2 ^ 53), tonumber(left[2] or 2 ^ 53))
end

codes = {1}
local values, kept, format = {}, {}, string.format
local forget_at = format("%d", now_ms + tonumber(ttl))
kept_at = math.min(kept_at, now_ms + tonumber(ttl))
for place = 1, number do
  local first, r = head + 5 * place - 4, tasks[place]
  local u, id, spent = records[places[r.user]], ARGV[first], r.charged
  if not counted then
    spent = math.max(1000, math.min(tonumber(ARGV[first + 2]), now - tonumber(string.match(ARGV[first + 1], "^%d+"))))
    u.S = u.S + (spent - r.charged)
    local average = u.ewma > 0 and u.ewma or spent
    u.ewma = math.floor(average + (spent - average) / 8)
    est0 = est0 + (spent - est0) / 8
  end
  u.served, u.inf = math.min(2 ^ 53 - 1, u.served + spent), math.max(0, u.inf - 1)
  local result, inlined, flags = ARGV[first + 3], ARGV[first + 3], r.flags
  if #result > INLINED then
    values[#values + 1], values[#values + 2] = P .. "r:" .. id, result
    inlined, flags = "", flags + LARGE
  end
  values[#values + 1], values[#values + 2] = P .. "t:" .. id, string.sub(r.text, 1, r.at)
    .. struct.pack(TASK_ENDING, STATE_NUMBERS.FINISHED, flags, now_ms, #inlined)
    .. string.sub(r.text, r.at + TASK_ENDING_SIZE + 1) .. inlined
  -- The size is that of announce.
  for _, listener in ipairs(told[place] or {}) do
    call("PUBLISH", P .. "done:" .. listener, id .. "\nFINISHED\n" .. (#result <= 16384 and "1" .. result or "0"))
  end
  kept[2 * place - 1], kept[2 * place] = forget_at, id
  codes[2 * place], codes[2 * place + 1] = 1, "FINISHED"
end
for _, id in ipairs(old) do
  for _, kind in ipairs({"t:", "r:", "p:"}) do gone[#gone + 1] = P .. kind .. id end
  ids[#ids + 1] = id
end
if gone[1] then call("DEL", unpack(gone)) end
call("HDEL", P .. "a", unpack(ids))
call("ZREM", P .. "running", unpack(ids, 1, number))
if old[1] then
  call("ZREM", P .. "kept", unpack(old))
  call("ZREM", P .. "dead", unpack(old))
end
call("ZADD", P .. "kept", unpack(kept))
call("MSET", unpack(values))
local stay, leave, paid, ready, owe = {}, {}, {}, {}, {}
for place, u in ipairs(records) do
  local user, debt = owners[place], u.lane == 0 and u.S > V
  local joined = u.S ~= u.before and (u.lane % SORTED == 2 and ready or debt and owe)
  if joined then joined[#joined + 1], joined[#joined + 2] = u.S, user end
  if joined == owe then owe_min = math.min(owe_min, u.S) end
  if u.lane == 0 and not debt then paid[#paid + 1] = user end
  if u.lane == 0 and not debt and u.inf == 0 then leave[#leave + 1] = user else
    stay[#stay + 1], stay[#stay + 2] = user, struct.pack(USER, u.S, u.served, u.since, u.ewma, u.inf, u.lane)
  end
end
if ready[1] then call("ZADD", P .. "ready", unpack(ready)) end
if owe[1] then call("ZADD", P .. "owe", unpack(owe)) end
if paid[1] then call("ZREM", P .. "owe", unpack(paid)) end
if stay[1] then call("HSET", P .. "u", unpack(stay)) end
if leave[1] then
  call("HDEL", P .. "u", unpack(leave))
  call("ZREM", P .. "users", unpack(leave))
end
finished = finished + number
