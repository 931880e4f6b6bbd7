-- quick_grant: starts the tasks of quick_turns, and writes what has changed; a part of quick_pop.
for place = who + 1, #names do
  local text = stored_users[place]
  if not text or #text ~= USER_SIZE then plain = false break end
  local S, _, _, _, inf, lane = struct.unpack(USER, text)
  plain, infs[place] = plain and lane == 0 and S <= V, inf
end
if not plain then break end
-- Of most tasks nothing is stored but what was pushed; others had attempts, or a process waits for their end.
local keys, bytes = {}, 0
for place, id in ipairs(ids) do keys[place] = P .. "t:" .. id end
local bodies, known, given = {}, {}, {}
if number > 0 then bodies, known = read("MGET", unpack(keys)), read("HMGET", P .. "a", unpack(ids)) end
if known.err then break end
local answer, starts, first_token = {1, 1, 0, {}, codes, now}, {}, format("%d", now) .. ":" .. claim
for place = 1, number do
  local body, record, score = bodies[place] or "", known[place], places[place]
  -- A list may have been changed by hand: no task is given twice.
  plain = #body >= TASK_HEAD_SIZE and bytes <= FULL and not given[ids[place]]
  if not plain then break end
  given[ids[place]] = true
  local kind, pushed_at, prio, timeout, cost, digest, user = struct.unpack(TASK_HEAD, body)
  local at = TASK_HEAD_SIZE + digest + user
  score = score or pushed_at - 120000000
  plain = score > -TOP and score < TOP
  plain = plain and kind == BODY and at <= #body and prio >= 1 and prio <= 6 and pushed_at >= 0 and pushed_at < TOP
    and timeout >= 0 and timeout < TOP and (cost == -1 or (counted and cost >= 0 and cost < TOP))
  if not plain then break end
  local token, again, flags, attempt, fails, lost, settled = first_token, "", 0, 0, 0, 0, ""
  if record then
    plain = #record >= at + ATTEMPT_SIZE and string.byte(record) == RECORD
      and string.sub(record, 2, at) == string.sub(body, 2, at)
    if not plain then break end
    local state, ended_at, result, score_before, charged, held, old, map
    state, flags, ended_at, result, score_before, charged, attempt, fails, lost, held, settled, old, map =
      struct.unpack(ATTEMPT, record, at + 1)
    local from = at + ATTEMPT_SIZE + 1
    local fence = whole(string.match(string.sub(record, from, from + held - 1), "^%d+")) or 0
    plain = state == STATE_NUMBERS.QUEUED and flags < LARGE and ended_at == 0 and result == 0 and map == 0
      and (score_before == -math.huge or score_before > -TOP and score_before < TOP) and charged >= 0 and charged < TOP
      and from + held + settled + old == #record + 1
    if not plain then break end
    fence = held > 0 and fence >= now and fence + 1 or now
    if fence > now then token = format("%d", fence) .. ":" .. claim end
    if fence > now or attempt > 0 or fails > 0 or flags % 2 > 0 then
      again = struct.pack(AGAIN, fence, attempt + 1, fails, flags % 2)
    end
    settled = string.sub(record, from + held, from + held + settled - 1)
  end
  starts[2 * place - 1], starts[2 * place] = ids[place], "\2" .. string.sub(body, 2, at)
    .. struct.pack(ATTEMPT, STATE_NUMBERS.STARTED, flags, 0, 0, score, charges[owners[place]], attempt + 1, fails, lost,
      #token, #settled, #worker, 0) .. token .. settled .. worker
  local sent, end_of = #body - at <= MOST_MESSAGE and body or string.sub(body, 1, at), 3 * place + 3
  bytes = bytes + #sent
  answer[end_of + 1], answer[end_of + 2], answer[end_of + 3] = ids[place], sent, again
end
if not plain then break end

reply = answer
local leases, lease_end = {}, format("%d", now_ms + lease_ms)
for place, id in ipairs(ids) do leases[2 * place - 1], leases[2 * place] = lease_end, id end
local kept, gone = {}, {fresh = {}, ready = {}, owe = paid, users = {}}
local come = {ready = {}, owe = {}}
owe_min = least_debt
for _, k in ipairs(met) do
  local name, S, lane = names[k], tags[k], lanes[k]
  local other = others[k]
  if nexts[k] > 1 then call("LTRIM", P .. "n:" .. name, format("%d", nexts[k] - 1), "-1") end
  if other and other.first > 1 then
    call("ZREMRANGEBYRANK", P .. "z:" .. name, "0", format("%d", (other.first - 3) / 2))
  end
  local left = k <= new and gone.fresh or lane == 0 and gone.ready
  local joined = lane == 2 and come.ready or S > V and come.owe
  if left then left[#left + 1] = name end
  if joined then joined[#joined + 1], joined[#joined + 2] = S, name end
  if joined == come.owe then owe_min = math.min(owe_min, S) end
  kept[#kept + 1], kept[#kept + 2] = name, struct.pack("<d", S) .. string.sub(stored_users[k], 9, 32)
    .. struct.pack("<I4B", infs[k], lane + (other and other[other.first] and SORTED or 0))
end
for place = who + 1, #names do
  if infs[place] == 0 then gone.users[#gone.users + 1] = names[place] end
end
if gone.users[1] then call("HDEL", P .. "u", unpack(gone.users)) end
for index, list in pairs(gone) do
  if list[1] then call("ZREM", P .. index, unpack(list)) end
end
for index, list in pairs(come) do
  if list[1] then call("ZADD", P .. index, unpack(list)) end
end
if number > 0 then
  next_at = math.min(next_at, now_ms + lease_ms)
  call("HSET", P .. "u", unpack(kept))
  call("HSET", P .. "a", unpack(starts))
  call("ZADD", P .. "running", unpack(leases))
  call("SET", claim_key, claim .. "\n" .. table.concat(ids, "\n"), "PX", ARGV[4])
end
queued, pop_at = math.max(0, queued - number), now_ms
fresh_n = (new < wanted and new or fresh_n) - #gone.fresh
if fresh_n > 0 or first <= last or (more and call("EXISTS", P .. "ready") > 0) then
  if call("LLEN", P .. "wake") == 0 then call("LPUSH", P .. "wake", "1") end
else
  -- An idle worker waits for what is due first: the bound may be too early.
  local running = call("ZRANGE", P .. "running", "0", "0", "WITHSCORES")
  local delayed = call("ZRANGE", P .. "delayed", "0", "0", "WITHSCORES")
  next_at = math.min(2 ^ 53, tonumber(running[2] or 2 ^ 53), tonumber(delayed[2] or 2 ^ 53))
  reply[2], reply[3] = 0, next_at == 2 ^ 53 and -1 or math.max(0, next_at - now_ms)
end
