-- quick_conclude: stores the ends that quick_endings has checked, and settles their cost; a part of it.
codes = {1, unpack(ids)}
local values, kept, moved = {unpack(ids)}, {unpack(ids)}, nil
local forget_at = format("%d", now_ms + ttl_ms)
kept_at = math.min(kept_at, now_ms + ttl_ms)
for place = 1, number do
  local k, id, text, at, charge = whose[place], ids[place], texts[place], ends[place], charges[place]
  local cost = charge
  if not counted then
    cost = math.max(1000, math.min(spent[place], now - begins[place]))
    if cost ~= charge then
      moved = moved or {}
      tags[k], moved[k] = tags[k] + (cost - charge), true
    end
    local average = averages[k] > 0 and averages[k] or cost
    averages[k] = math.floor(average + (cost - average) / 8)
    est0 = est0 + (cost - est0) / 8
  end
  served[k], infs[k] = math.min(2 ^ 53 - 1, served[k] + cost), math.max(0, infs[k] - 1)
  local result, flags = ARGV[head + 5 * place - 1], marks[place]
  local inlined = result
  if #result > INLINED then
    inlined, flags = "", flags + LARGE
    call("SET", P .. "r:" .. id, result)
  end
  values[2 * place - 1], values[2 * place] = P .. "t:" .. id, string.sub(text, 1, at)
    .. struct.pack(TASK_ENDING, STATE_NUMBERS.FINISHED, flags, now_ms, #inlined)
    .. string.sub(text, at + TASK_ENDING_SIZE + 1) .. inlined
  -- The size is that of announce.
  for _, listener in ipairs(told and told[place] or {}) do
    call("PUBLISH", P .. "done:" .. listener, id .. "\nFINISHED\n" .. (#result <= 16384 and "1" .. result or "0"))
  end
  kept[2 * place - 1], kept[2 * place] = forget_at, id
  codes[2 * place], codes[2 * place + 1] = 1, "FINISHED"
end
call("ZREM", P .. "running", unpack(ids))
if old and old[1] then
  for _, id in ipairs(old) do
    local at = #gone
    gone[at + 1], gone[at + 2], gone[at + 3] = P .. "t:" .. id, P .. "r:" .. id, P .. "p:" .. id
    ids[#ids + 1] = id
  end
  call("ZREM", P .. "kept", unpack(old))
  call("ZREM", P .. "dead", unpack(old))
end
if gone[1] then call("DEL", unpack(gone)) end
call("HDEL", P .. "a", unpack(ids))
call("ZADD", P .. "kept", unpack(kept))
call("MSET", unpack(values))
local stay, leave, paid, ready, owe = {}, nil, nil, nil, nil
for k = 1, #owners do
  local user, S, lane = owners[k], tags[k], lanes[k]
  if moved and moved[k] and lane % SORTED == 2 then
    ready = ready or {}
    ready[#ready + 1], ready[#ready + 2] = S, user
  end
  if lane == 0 and S > V then
    if moved and moved[k] then
      owe, owe_min = owe or {}, math.min(owe_min, S)
      owe[#owe + 1], owe[#owe + 2] = S, user
    end
  elseif lane == 0 then
    paid = paid or {}
    paid[#paid + 1] = user
    if infs[k] == 0 then
      leave = leave or {}
      leave[#leave + 1] = user
    end
  end
  if lane > 0 or S > V or infs[k] > 0 then
    stay[#stay + 1], stay[#stay + 2] = user, struct.pack(USER, S, served[k], sinces[k], averages[k], infs[k], lane)
  end
end
if ready then call("ZADD", P .. "ready", unpack(ready)) end
if owe then call("ZADD", P .. "owe", unpack(owe)) end
if paid then call("ZREM", P .. "owe", unpack(paid)) end
if stay[1] then call("HSET", P .. "u", unpack(stay)) end
if leave then
  call("HDEL", P .. "u", unpack(leave))
  call("ZREM", P .. "users", unpack(leave))
end
finished = finished + number
