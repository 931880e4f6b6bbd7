-- quick_endings: ends attempts of tasks without dependents and stored values; a part of quick paths. `head` is how many
-- arguments precede those of the tasks, `ttl` the retention time. It puts the codes into `codes`.
if (#ARGV - head) % 5 ~= 0 or #ARGV > head + 5 * 100 or not string.find(ttl, "^%d+$") or #ttl > 15 then break end
local keys, number, listeners, usual = {}, 0, 0, true
for first = head + 1, #ARGV, 5 do
  local ran = ARGV[first + 2]
  if ARGV[first + 4] ~= "" or not string.find(ran, "^%d+$") or #ran > 15 then usual = false end
  number = number + 1
  keys[number] = P .. "t:" .. ARGV[first]
end
if not usual then break end
local stored_tasks, tasks, owners, places, gone, told = read("MGET", unpack(keys)), {}, {}, {}, {}, {}
if stored_tasks.err then break end
for place = 1, number do
  local first = head + 5 * place - 4
  local sound, r = pcall(cmsgpack.unpack, stored_tasks[place] or "")
  usual = sound and type(r) == "table" and r.state == "STARTED" and r.token == ARGV[first + 1]
    and type(r.user) == "string" and type(r.charged) == "number" and r.charged >= 0 and r.charged < 2 ^ 53
    and type(r.pushed_at) == "number" and r.pushed_at >= 0 and r.pushed_at < 2 ^ 53 and type(r.attempt) == "number"
    and type(r.score) == "number" and not (r.kids or r.xcom or r.keep or tasks[ARGV[first]])
    and string.find(r.token, "^%d+:") and (not r.dedup or type(r.dedup) == "string")
  if not usual then break end
  local id = ARGV[first]
  tasks[place], tasks[id] = r, true
  gone[#gone + 1] = P .. "m:" .. id
  if r.watch then
    local key = P .. "w:" .. id
    local of_task = read("ZRANGE", key, "0", "255")
    told[place], gone[#gone + 1], listeners = of_task, key, listeners + #of_task
    usual = not of_task.err and listeners < 256
    if not usual then break end
  end
  if r.dedup and read("GET", P .. "dedup:" .. r.dedup) == id then gone[#gone + 1] = P .. "dedup:" .. r.dedup end
  if not places[r.user] then
    owners[#owners + 1] = r.user
    places[r.user] = #owners
  end
end
if not usual then break end
local users, records = read("HMGET", P .. "u", unpack(owners)), {}
if users.err then break end
for place, text in ipairs(users) do
  if not text or #text ~= 37 then usual = false break end
  local S, served, since, ewma, inf, lane = struct.unpack("<ddddI4B", text)
  usual = S > -(2 ^ 44) and S < 2 ^ 52 and served >= 0 and served < 2 ^ 52 and since >= 0 and since < 2 ^ 53
    and ewma >= 0 and ewma < 2 ^ 53 and lane <= 2
  if not usual then break end
  records[place] = {S = S, served = served, since = since, ewma = ewma, inf = inf, lane = lane, before = S}
end
if not usual or read("LLEN", P .. "pending") ~= 0 then break end
local held = read("ZRANGEBYSCORE", P .. "held", "-inf", string.format("%d", now_ms), "LIMIT", 0, 1)
local old = read("ZRANGEBYSCORE", P .. "kept", "-inf", string.format("%d", now_ms), "LIMIT", 0, 2 * number)
if held.err or held[1] or old.err then break end

codes = {1}
local ids, values, kept, format = {}, {}, {}, string.format
local forget_at = format("%d", now_ms + tonumber(ttl))
for place = 1, number do
  local first, r = head + 5 * place - 4, tasks[place]
  local u, id, spent = records[places[r.user]], ARGV[first], r.charged
  if not counted then
    spent = math.max(1000, math.min(tonumber(ARGV[first + 2]), now - tonumber(string.match(r.token, "^%d+"))))
    u.S = u.S + (spent - r.charged)
    local average = u.ewma > 0 and u.ewma or spent
    u.ewma = math.floor(average + (spent - average) / 8)
    est0 = est0 + (spent - est0) / 8
  end
  u.served, u.inf = math.min(2 ^ 53 - 1, u.served + spent), math.max(0, u.inf - 1)
  r.state, r.ended_at = "FINISHED", now_ms
  values[#values + 1], values[#values + 2] = keys[place], cmsgpack.pack(r)
  local result = ARGV[first + 3]
  if result ~= "" then values[#values + 1], values[#values + 2] = P .. "r:" .. id, result end
  -- The size is that of announce.
  for _, listener in ipairs(told[place] or {}) do
    call("PUBLISH", P .. "done:" .. listener, id .. "\nFINISHED\n" .. (#result <= 16384 and "1" .. result or "0"))
  end
  ids[place] = id
  kept[2 * place - 1], kept[2 * place] = forget_at, id
  codes[2 * place], codes[2 * place + 1] = 1, "FINISHED"
end
for _, id in ipairs(old) do
  for _, kind in ipairs({"t:", "m:", "r:", "p:"}) do gone[#gone + 1] = P .. kind .. id end
end
call("DEL", unpack(gone))
call("ZREM", P .. "running", unpack(ids))
if old[1] then
  call("ZREM", P .. "kept", unpack(old))
  call("ZREM", P .. "dead", unpack(old))
end
call("ZADD", P .. "kept", unpack(kept))
call("MSET", unpack(values))
local stay, leave, paid, ready, owe = {}, {}, {}, {}, {}
for place, u in ipairs(records) do
  local user, debt = owners[place], u.lane == 0 and u.S > V
  local joined = u.S ~= u.before and (u.lane == 2 and ready or debt and owe)
  if joined then joined[#joined + 1], joined[#joined + 2] = u.S, user end
  if u.lane == 0 and not debt then paid[#paid + 1] = user end
  if u.lane == 0 and not debt and u.inf == 0 then leave[#leave + 1] = user else
    stay[#stay + 1], stay[#stay + 2] = user, struct.pack("<ddddI4B", u.S, u.served, u.since, u.ewma, u.inf, u.lane)
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
