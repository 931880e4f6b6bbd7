-- quick_endings: ends attempts of tasks without dependents and stored values; a part of quick paths. `head` is how many
-- arguments precede those of the tasks, `ttl` the retention time. It puts the codes into `codes`. With `next_at` 0 the
-- dependents of other tasks are to be notified.
if next_at == 0 then break end
local number, ttl_ms = (#ARGV - head) / 5, tonumber(ttl)
if number % 1 ~= 0 or number > 100 or not ttl_ms or not (ttl_ms >= 0 and ttl_ms < 2 ^ 52 and ttl_ms % 1 == 0) then
  break
end
-- By the places of tasks, and of their users. A table that is made of a list has room for all of it at once.
local ids = {ARGV[head + 1]}
for place = 2, number do ids[place] = ARGV[head + 5 * place - 4] end
local texts = read("HMGET", P .. "a", unpack(ids))
if texts.err then break end
local spent, begins, charges, marks, ends, whose = {unpack(ids)}, {unpack(ids)}, {unpack(ids)}, {unpack(ids)},
  {unpack(ids)}, {unpack(ids)}
local ended_ids = number > 1 and {}
local owners, places, gone, told, listeners, usual = {}, {}, {}, nil, 0, true
for place = 1, number do
  local first = head + 5 * place - 4
  local text, id, token, ran = texts[place] or "", ARGV[first], ARGV[first + 1], tonumber(ARGV[first + 2])
  local began = string.match(token, "^(%d+):")
  usual = began and ran and ran >= 0 and ran < 2 ^ 53 and ran % 1 == 0 and ARGV[first + 4] == ""
    and #text >= TASK_HEAD_SIZE and not (ended_ids and ended_ids[id])
  if not usual then break end
  local kind, pushed_at, prio, timeout, cost, digest, length = struct.unpack(TASK_HEAD, text)
  local at = TASK_HEAD_SIZE + digest + length
  usual = kind == RECORD and prio >= 1 and prio <= 6 and pushed_at >= 0 and pushed_at < 2 ^ 53 and timeout >= 0
    and timeout < 2 ^ 53 and cost >= -1 and cost < 2 ^ 53 and #text >= at + ATTEMPT_SIZE
  if not usual then break end
  local state, flags, ended_at, size, score, charged, attempt, _, _, held, settled, by, map =
    struct.unpack(ATTEMPT, text, at + 1)
  local rest = at + ATTEMPT_SIZE + 1
  local after = rest + held + settled + by
  usual = state == STATE_NUMBERS.STARTED and flags < 8 and charged > 0 and charged < 2 ^ 53
    and attempt > 0 and score > -(2 ^ 53) and score < 2 ^ 53 and size == 0 and ended_at == 0
    and #token == held and string.find(text, token, rest, true) == rest and after + map == #text + 1
  if not usual then break end
  local user = string.sub(text, at - length + 1, at)
  if ended_ids then ended_ids[id] = true end
  spent[place], begins[place], charges[place], marks[place], ends[place] = ran, tonumber(began), charged, flags, at
  if map > 0 then
    local sound, more = pcall(cmsgpack.unpack, string.sub(text, after))
    usual = sound and type(more) == "table" and type(more.dedup) == "string" and not next(more, next(more))
    if not usual then break end
    local key = P .. "dedup:" .. more.dedup
    if read("GET", key) == id then gone[#gone + 1] = key end
  end
  if flags >= 4 then
    local key = P .. "w:" .. id
    local of_task = read("ZRANGE", key, "0", "255")
    told, gone[#gone + 1], listeners = told or {}, key, listeners + #of_task
    told[place], usual = of_task, not of_task.err and listeners < 256
    if not usual then break end
  end
  local k = places[user]
  if not k then
    k = #owners + 1
    owners[k], places[user] = user, k
  end
  whose[place] = k
end
if not usual then break end
local users = read("HMGET", P .. "u", unpack(owners))
if users.err then break end
local tags, served, sinces, averages, infs, lanes = {unpack(owners)}, {unpack(owners)}, {unpack(owners)},
  {unpack(owners)}, {unpack(owners)}, {unpack(owners)}
for k, text in ipairs(users) do
  if not text or #text ~= USER_SIZE then usual = false break end
  local S, had, since, ewma, inf, lane = struct.unpack(USER, text)
  usual = S > -FAR and S < 2 ^ 52 and had >= 0 and had < 2 ^ 52 and since >= 0 and since < 2 ^ 53
    and ewma >= 0 and ewma < 2 ^ 53 and (lane <= 2 or lane == SORTED + 1 or lane == SORTED + 2)
  if not usual then break end
  tags[k], served[k], sinces[k], averages[k], infs[k], lanes[k] = S, had, since, ewma, inf, lane
end
if not usual then break end
local format, old = string.format, nil
if kept_at <= now_ms then
  local held = read("ZRANGE", P .. "held", "0", "0", "WITHSCORES")
  old = read("ZRANGEBYSCORE", P .. "kept", "-inf", format("%d", now_ms), "LIMIT", 0, 2 * number)
  if held.err or old.err or tonumber(held[2] or 2 ^ 53) <= now_ms then break end
  local left = read("ZRANGE", P .. "kept", #old, #old, "WITHSCORES")
  kept_at = math.min(2 ^ 53, tonumber(held[2] or 2 ^ 53), tonumber(left[2] or 2 ^ 53))
end
--- @include "quick_conclude"
