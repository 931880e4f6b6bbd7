-- quick_grant: starts the tasks of quick_turns, and writes what has changed; a part of quick_pop.
for place = who + 1, #names do
  local text = stored_users[place]
  if not text or #text ~= USER_SIZE then plain = false break end
  local S, _, _, _, inf, lane = struct.unpack(USER, text)
  plain, infs[place] = plain and lane == 0 and S <= V, inf
end
if not plain then break end
-- Of most tasks nothing is stored but what was pushed; others had attempts, or a process waits for their end.
local keys, bytes, bodies, known, given = {unpack(ids)}, 0, nil, nil, number > 1 and {}
for place = 1, number do keys[place] = P .. "t:" .. ids[place] end
if number > 0 then bodies, known = read("MGET", unpack(keys)), read("HMGET", P .. "a", unpack(ids)) end
if known and known.err then break end
local answer, starts, first_token = {1, 1, 0, {}, codes, now}, {unpack(ids)}, format("%d", now) .. ":" .. claim
for place = 1, number do
  local body, record, score = bodies[place] or "", known[place], places[place]
  -- A list may have been changed by hand: no task is given twice.
  plain = #body >= TASK_HEAD_SIZE and bytes <= FULL and not (given and given[ids[place]])
  if not plain then break end
  if given then given[ids[place]] = true end
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
local leases, lease_end = {unpack(ids)}, format("%d", now_ms + lease_ms)
for place = 1, number do leases[2 * place - 1], leases[2 * place] = lease_end, ids[place] end
local kept, left_fresh, left_ready, joined, owing, forgotten = {unpack(met)}, nil, nil, nil, nil, nil
if paid then owe_min = least_debt end
if new < wanted then fresh_n = new end
for at, k in ipairs(met) do
  local name, S, lane, other = names[k], tags[k], lanes[k], others and others[k]
  if nexts[k] == 2 then call("LPOP", P .. "n:" .. name)
  elseif nexts[k] > 2 then call("LTRIM", P .. "n:" .. name, format("%d", nexts[k] - 1), "-1") end
  if other and other.first > 1 then
    call("ZREMRANGEBYRANK", P .. "z:" .. name, "0", format("%d", (other.first - 3) / 2))
  end
  if k <= new then
    left_fresh, fresh_n = left_fresh or {}, fresh_n - 1
    left_fresh[#left_fresh + 1] = name
  elseif lane == 0 then
    left_ready = left_ready or {}
    left_ready[#left_ready + 1] = name
  end
  if lane == 2 then
    joined = joined or {}
    joined[#joined + 1], joined[#joined + 2] = S, name
  elseif S > V then
    owing, owe_min = owing or {}, math.min(owe_min, S)
    owing[#owing + 1], owing[#owing + 2] = S, name
  end
  kept[2 * at - 1], kept[2 * at] = name, struct.pack("<d", S) .. string.sub(stored_users[k], 9, 32)
    .. struct.pack("<I4B", infs[k], lane + (other and other[other.first] and SORTED or 0))
end
if paid then
  call("ZREM", P .. "owe", unpack(paid))
  for place = who + 1, #names do
    if infs[place] == 0 then
      forgotten = forgotten or {}
      forgotten[#forgotten + 1] = names[place]
    end
  end
  if forgotten then
    call("HDEL", P .. "u", unpack(forgotten))
    call("ZREM", P .. "users", unpack(forgotten))
  end
end
if left_fresh then call("ZREM", P .. "fresh", unpack(left_fresh)) end
if left_ready then call("ZREM", P .. "ready", unpack(left_ready)) end
if joined then call("ZADD", P .. "ready", unpack(joined)) end
if owing then call("ZADD", P .. "owe", unpack(owing)) end
if number > 0 then
  next_at, queued = math.min(next_at, now_ms + lease_ms), math.max(0, queued - number)
  call("HSET", P .. "u", unpack(kept))
  call("HSET", P .. "a", unpack(starts))
  call("ZADD", P .. "running", unpack(leases))
  call("SET", claim_key, claim .. "\n" .. table.concat(ids, "\n"), "PX", ARGV[4])
end
