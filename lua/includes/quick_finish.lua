-- quick_finish: ends plain attempts without the functions of the rest of the script, as quick_push stores plain tasks.
-- Nobody waits for a plain task, no other depends on it, and it has stored no values.
--- @include "call"
--- @include "task_format"
--- @include "globals_format"
repeat
  local argv, size = ARGV, #ARGV
  if size < 6 or (size - 1) % 5 ~= 0 or size > 1 + 5 * 100 or not string.find(argv[1], "^%d+$") or #argv[1] > 15 then
    break
  end
--- @include "quick_begin"

  -- Each attempt is held by its caller, and its task is plain.
  local ids, number, plain = {}, 0, true
  for first = 2, size, 5 do
    local ran = argv[first + 2]
    if argv[first + 4] ~= "" or not string.find(ran, "^%d+$") or #ran > 15 then plain = false end
    number = number + 1
    ids[number] = argv[first]
  end
  if not plain then break end
  local texts, tasks, owners, places = read("HMGET", P .. "a", unpack(ids)), {}, {}, {}
  if texts.err then break end
  for place = 1, number do
    local first = 5 * place - 3
    local text, token = texts[place] or "", argv[first + 1]
    plain = #text >= TASK_HEAD_SIZE and not tasks[argv[first]] and string.find(token, "^%d+:")
    if not plain then break end
    local kind, prio, pushed_at, timeout, cost, digest, user = struct.unpack(TASK_HEAD, text)
    local at = TASK_HEAD_SIZE + digest + user
    plain = kind == RECORD and prio >= 1 and prio <= 6 and pushed_at >= 0 and pushed_at < 2 ^ 53 and timeout >= 0
      and timeout < 2 ^ 53 and cost >= -1 and cost < 2 ^ 53 and #text >= at + ATTEMPT_SIZE
    if not plain then break end
    local state, flags, ended_at, result, score, charged, attempt, _, _, held, settled, worker, map =
      struct.unpack(ATTEMPT, text, at + 1)
    local rest = at + ATTEMPT_SIZE + 1
    plain = state == STATE_NUMBERS.STARTED and flags < ATTEMPT_FLAGS and charged > 0 and charged < 2 ^ 53
      and attempt > 0 and score > -(2 ^ 53) and score < 2 ^ 53 and map == 0 and result == 0 and ended_at == 0
      and string.sub(text, rest, rest + held - 1) == token and rest + held + settled + worker == #text + 1
    local name = string.sub(text, TASK_HEAD_SIZE + digest + 1, at)
    local r = {user = name, text = text, at = at, charged = charged, flags = flags}
    if not plain then break end
    tasks[place], tasks[argv[first]] = r, true
    if not places[r.user] then
      owners[#owners + 1] = r.user
      places[r.user] = #owners
    end
  end
  if not plain then break end
  local users, records = read("HMGET", P .. "u", unpack(owners)), {}
  if users.err then break end
  for place, text in ipairs(users) do
    if not text or #text ~= 37 then plain = false break end
    local S, served, since, ewma, inf, lane = struct.unpack("<ddddI4B", text)
    plain = S > -(2 ^ 52) and S < 2 ^ 52 and served >= 0 and served < 2 ^ 52 and since >= 0 and since < 2 ^ 53
      and ewma >= 0 and ewma < 2 ^ 53 and lane <= 2
    if not plain then break end
    records[place] = {S = S, served = served, since = since, ewma = ewma, inf = inf, lane = lane, before = S}
  end
  if not plain or read("LLEN", P .. "pending") ~= 0 then break end
  local held = read("ZRANGEBYSCORE", P .. "held", "-inf", string.format("%d", now_ms), "LIMIT", 0, 1)
  local old = read("ZRANGEBYSCORE", P .. "kept", "-inf", string.format("%d", now_ms), "LIMIT", 0, 2 * number)
  if held.err or held[1] or old.err then break end

  local values, gone, kept, reply, format = {}, {}, {}, {1}, string.format
  local forget_at = format("%d", now_ms + tonumber(argv[1]))
  for place = 1, number do
    local first, r = 5 * place - 3, tasks[place]
    local u, id, spent = records[places[r.user]], argv[first], r.charged
    if not counted then
      spent = math.max(1000, math.min(tonumber(argv[first + 2]), now - tonumber(string.match(argv[first + 1], "^%d+"))))
      u.S = u.S + (spent - r.charged)
      local average = u.ewma > 0 and u.ewma or spent
      u.ewma = math.floor(average + (spent - average) / 8)
      est0 = est0 + (spent - est0) / 8
    end
    u.served, u.inf = math.min(2 ^ 53 - 1, u.served + spent), math.max(0, u.inf - 1)
    local result, flags = argv[first + 3], r.flags
    if #result > INLINED then
      values[#values + 1], values[#values + 2] = P .. "r:" .. id, result
      result, flags = "", flags + LARGE
    end
    values[#values + 1], values[#values + 2] = P .. "t:" .. id, string.sub(r.text, 1, r.at)
      .. struct.pack(ENDING, STATE_NUMBERS.FINISHED, flags, now_ms, #result)
      .. string.sub(r.text, r.at + ENDING_SIZE + 1) .. result
    kept[2 * place - 1], kept[2 * place] = forget_at, id
    reply[2 * place], reply[2 * place + 1] = 1, "FINISHED"
  end
  for _, id in ipairs(old) do
    for _, kind in ipairs({"t:", "r:", "p:"}) do gone[#gone + 1] = P .. kind .. id end
    ids[#ids + 1] = id
  end
  if old[1] then call("DEL", unpack(gone)) end
  call("HDEL", P .. "a", unpack(ids))
  call("ZREM", P .. "running", unpack(ids, 1, number))
  if old[1] then
    call("ZREM", P .. "kept", unpack(old))
    call("ZREM", P .. "dead", unpack(old))
  end
  call("ZADD", P .. "kept", unpack(kept))
  call("MSET", unpack(values))
  for place, u in ipairs(records) do
    local user, debt = owners[place], u.lane == 0 and u.S > V
    if u.lane == 2 and u.S ~= u.before then call("ZADD", P .. "ready", u.S, user) end
    if debt and u.S ~= u.before then call("ZADD", P .. "owe", u.S, user) end
    if u.lane == 0 and not debt then call("ZREM", P .. "owe", user) end
    if u.lane == 0 and not debt and u.inf == 0 then
      call("HDEL", P .. "u", user)
      call("ZREM", P .. "users", user)
    else
      call("HSET", P .. "u", user, struct.pack("<ddddI4B", u.S, u.served, u.since, u.ewma, u.inf, u.lane))
    end
  end
  finished = finished + number
--- @include "quick_end"
  do return reply end
until true
