-- quick_grant: starts the tasks of quick_turns, and writes what has changed; a part of quick_pop.
for place = who + 1, #names do
  local text = stored_users[place]
  if not text or #text ~= 37 then plain = false break end
  local S, _, _, _, inf, lane = struct.unpack("<ddddI4B", text)
  plain, infs[place] = plain and lane == 0 and S <= V, inf
end
if not plain then break end
local values, records = {}, {}
for place, id in ipairs(ids) do values[2 * place - 1], values[2 * place] = P .. "t:" .. id, P .. "m:" .. id end
local found = number > 0 and read("MGET", unpack(values)) or {}
for place = 1, number do
  local sound, r = pcall(readable, found[2 * place - 1])
  plain = sound and r.state == "QUEUED" and (counted or not r.cost) and (number == 1 or not r.bytes)
    and places[place] > -TOP and places[place] < TOP
  if not plain then break end
  records[place] = r
end
if not plain then break end

reply = {1, 1, 0, {}, codes}
local leases, first_token = {}, format("%d", now) .. ":" .. claim
local lease_end = format("%d", now_ms + lease_ms)
for place, r in ipairs(records) do
  -- A message above the limit of push was not written by it; the worker could not read it.
  local id, message, at, fence = ids[place], found[2 * place] or "", 8 * place - 3, now
  if r.token then fence = math.max(now, (whole(string.match(r.token, "^%d+")) or 0) + 1) end
  r.state, r.token = "STARTED", fence == now and first_token or format("%d", fence) .. ":" .. claim
  r.charged, r.score, r.worker = charges[owners[place]], places[place], worker
  r.attempt = (r.attempt or 0) + 1
  values[2 * place] = cmsgpack.pack(r)
  leases[2 * place - 1], leases[2 * place] = lease_end, id
  reply[at + 1], reply[at + 2] = id, #message <= 1048576 and message or ""
  reply[at + 3], reply[at + 4], reply[at + 5] = r.token, r.attempt, r.fails or 0
  reply[at + 6], reply[at + 7] = r.solo and 1 or 0, r.pushed_at
  reply[at + 8] = r.heir and (r.prio or 3) .. r.user or ""
end
local kept, gone = {}, {fresh = {}, ready = {}, owe = paid, users = {}}
local come = {ready = {}, owe = {}}
for _, k in ipairs(met) do
  local name, S, lane = names[k], tags[k], lanes[k]
  call("ZREMRANGEBYRANK", P .. "n:" .. name, "0", format("%d", (nexts[k] - 3) / 2))
  local left = k <= new and gone.fresh or lane == 0 and gone.ready
  local joined = lane == 2 and come.ready or S > V and come.owe
  if left then left[#left + 1] = name end
  if joined then joined[#joined + 1], joined[#joined + 2] = S, name end
  kept[#kept + 1], kept[#kept + 2] = name, struct.pack("<d", S) .. string.sub(stored_users[k], 9, 32)
    .. struct.pack("<I4B", infs[k], lane)
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
  soonest = math.min(soonest, now_ms + lease_ms)
  call("HSET", P .. "u", unpack(kept))
  call("MSET", unpack(values))
  call("ZADD", P .. "running", unpack(leases))
  call("SET", claim_key, claim .. "\n" .. table.concat(ids, "\n"), "PX", ARGV[4])
end
queued, pop_at = math.max(0, queued - number), now_ms
if first_fresh <= new or first <= last
  or ((more or new == wanted) and call("EXISTS", P .. "ready", P .. "fresh") > 0) then
  if call("LLEN", P .. "wake") == 0 then call("LPUSH", P .. "wake", "1") end
else
  reply[2] = 0
end
reply[3] = soonest == math.huge and -1 or soonest - now_ms
