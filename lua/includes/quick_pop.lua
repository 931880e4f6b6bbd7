-- quick_pop: gives a worker tasks without the functions of the rest of the script, as quick_push stores plain tasks. It
-- takes them if nothing is due, nobody has CRITICAL tasks or a hint of their cost, and all records are sound. Users are
-- known by their place in `names`: first those of the fresh ring, then those of the ready ring.
--- @include "call"
--- @include "globals_format"
--- @include "sane"
--- @include "task_format"
--- @include "comes_after"
--- @include "sizes"
repeat
  local worker, claim, plain = ARGV[1], ARGV[2], #ARGV == 7
  for index = 3, 7 do plain = plain and string.find(ARGV[index], "^%d+$") and #ARGV[index] <= 15 end
  if not plain or worker == "" or #worker > 255 or not string.find(claim, "^%x+$") or #claim > 200 then break end
  local wanted, lease_ms = tonumber(ARGV[3]), tonumber(ARGV[4])
  if wanted < 1 or wanted > 100 or lease_ms < 1 then break end
--- @include "quick_begin"
  local format, claim_key = string.format, P .. "claim:" .. worker
  local before, to = read("GET", claim_key), format("%d", wanted - 1)
  if before and (before.err or string.sub(before, 1, #claim + 1) == claim .. "\n") then break end
  local running = read("ZRANGE", P .. "running", "0", "0", "WITHSCORES")
  local delayed = read("ZRANGE", P .. "delayed", "0", "0", "WITHSCORES")
  local paid = read("ZRANGEBYSCORE", P .. "owe", "-inf", format("%.17g", V), "LIMIT", "0", format("%d", 2 * wanted))
  local names, heads = read("ZRANGE", P .. "fresh", "0", to), read("ZRANGE", P .. "ready", "0", to, "WITHSCORES")
  if running.err or delayed.err or paid.err or names.err or heads.err
    or read("EXISTS", P .. "critical", P .. "timers", P .. "pending") ~= 0 then break end
  local soonest = math.min(tonumber(running[2] or math.huge), tonumber(delayed[2] or math.huge))
  if soonest <= now_ms then break end
  local new, order, scores, tags = #names, {}, {}, {}
  for place = 1, #heads / 2 do
    names[new + place], order[place] = heads[2 * place - 1], new + place
    scores[place] = tonumber(heads[2 * place])
    tags[new + place] = scores[place]
  end
  local who, last = #names, #order
  local more, first, first_fresh = last == wanted, 1, 1
  for place, name in ipairs(paid) do names[who + place] = name end
  local texts = names[1] and read("HMGET", P .. "u", unpack(names)) or {}
  if texts.err then break end

--- @include "quick_turns"
  for place = who + 1, #names do
    local text = texts[place]
    if not text or #text ~= 37 then plain = false break end
    local S, _, _, _, inf, lane = struct.unpack("<ddddI4B", text)
    plain, infs[place] = plain and lane == 0 and S <= V, inf
  end
  if not plain then break end
--- @include "quick_grants"
  local leases, lease_end = {}, format("%d", now_ms + lease_ms)
  for place, id in ipairs(ids) do leases[2 * place - 1], leases[2 * place] = lease_end, id end
  local kept, gone = {}, {fresh = {}, ready = {}, owe = paid, users = {}}
  local come = {ready = {}, owe = {}}
  for _, k in ipairs(met) do
    local name, S, lane = names[k], tags[k], lanes[k]
    call("ZREMRANGEBYRANK", P .. "n:" .. name, "0", format("%d", (nexts[k] - 3) / 2))
    local left = k <= new and gone.fresh or lane == 0 and gone.ready
    local joined = lane == 2 and come.ready or S > V and come.owe
    if left then left[#left + 1] = name end
    if joined then joined[#joined + 1], joined[#joined + 2] = S, name end
    kept[#kept + 1], kept[#kept + 2] = name, struct.pack("<d", S) .. string.sub(texts[k], 9, 32)
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
    call("HSET", P .. "a", unpack(starts))
    call("ZADD", P .. "running", unpack(leases))
    call("SET", claim_key, claim .. "\n" .. table.concat(ids, "\n"), "PX", ARGV[4])
  end
  queued, pop_at = math.max(0, queued - number), now_ms
--- @include "quick_end"
  if first_fresh <= new or first <= last
    or ((more or new == wanted) and call("EXISTS", P .. "ready", P .. "fresh") > 0) then
    if call("LLEN", P .. "wake") == 0 then call("LPUSH", P .. "wake", "1") end
  else
    reply[2] = 0
  end
  reply[3] = soonest == math.huge and -1 or soonest - now_ms
  do return reply end
until true
