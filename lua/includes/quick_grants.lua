-- quick_grants: starts the tasks that a pop takes: packs the records of their attempts and its answer; a part of
-- quick_pop. Of most tasks nothing is stored but what was pushed; others had attempts, or a process waits for their
-- end.
local keys, bytes = {}, 0
for place, id in ipairs(ids) do keys[place] = P .. "t:" .. id end
local bodies, known = {}, {}
if number > 0 then bodies, known = read("MGET", unpack(keys)), read("HMGET", P .. "a", unpack(ids)) end
if known.err then break end
local reply, starts, first_token = {1, 1, 0, {}}, {}, format("%d", now) .. ":" .. claim
for place = 1, number do
  local body, record, score = bodies[place] or "", known[place], places[place]
  plain = #body >= TASK_HEAD_SIZE and score > -TOP and score < TOP and bytes <= FULL
  if not plain then break end
  local kind, prio, pushed_at, timeout, cost, digest, user = struct.unpack(TASK_HEAD, body)
  local at = TASK_HEAD_SIZE + digest + user
  plain = kind == BODY and at <= #body and prio >= 1 and prio <= 6 and pushed_at >= 0 and pushed_at < TOP
    and timeout >= 0 and timeout < TOP and (cost == -1 or (counted and cost >= 0 and cost < TOP))
  if not plain then break end
  local token, flags, attempt, fails, lost, settled = first_token, 0, 0, 0, 0, ""
  if record then
    plain = #record >= at + ATTEMPT_SIZE and string.byte(record) == RECORD
      and string.sub(record, 2, at) == string.sub(body, 2, at)
    if not plain then break end
    local state, ended_at, result, before, charged, held, old, map
    state, flags, ended_at, result, before, charged, attempt, fails, lost, held, settled, old, map =
      struct.unpack(ATTEMPT, record, at + 1)
    local from = at + ATTEMPT_SIZE + 1
    local fence = whole(string.match(string.sub(record, from, from + held - 1), "^%d+")) or 0
    plain = state == STATE_NUMBERS.QUEUED and flags < LARGE and ended_at == 0 and result == 0 and map == 0
      and (before == -math.huge or before > -TOP and before < TOP) and charged >= 0 and charged < TOP
      and from + held + settled + old == #record + 1
    if not plain then break end
    if held > 0 and fence >= now then token = format("%d", fence + 1) .. ":" .. claim end
    settled = string.sub(record, from + held, from + held + settled - 1)
  end
  starts[2 * place - 1], starts[2 * place] = ids[place], "\2" .. string.sub(body, 2, at)
    .. struct.pack(ATTEMPT, STATE_NUMBERS.STARTED, flags, 0, 0, score, charges[owners[place]], attempt + 1, fails, lost,
      #token, #settled, #worker, 0) .. token .. settled .. worker
  bytes = bytes + #body - at
  local message, end_of = string.sub(body, at + 1), 8 * place - 4
  reply[end_of + 1], reply[end_of + 2] = ids[place], #message <= MOST_MESSAGE and message or ""
  reply[end_of + 3], reply[end_of + 4], reply[end_of + 5] = token, attempt + 1, fails
  reply[end_of + 6], reply[end_of + 7] = flags % 2, pushed_at
  reply[end_of + 8] = flags % 64 >= 32 and prio .. string.sub(body, TASK_HEAD_SIZE + digest + 1, at) or ""
end
if not plain then break end
