-- quick_turns: chooses the users of the next tasks, in order, as pick does; a part of the block of quick_pop. It writes
-- nothing.
-- By place in the ready ring: a user and its tag. A table that is made of a list has room for all of it at once.
local order, scores = {unpack(heads, 1, last)}, {unpack(heads, 1, last)}
for place = 1, last do
  names[new + place], order[place], scores[place] = heads[2 * place - 1], new + place, tonumber(heads[2 * place])
end
if paid then
  for place, name in ipairs(paid) do names[who + place] = name end
end
local stored_users = read("HMGET", P .. "u", unpack(names))
if stored_users.err then break end
-- By user.
local queues, nexts, tags, charges, infs, lanes = {unpack(names)}, {unpack(names)}, {unpack(names)}, {unpack(names)},
  {unpack(names)}, {unpack(names)}
local others -- of users with tasks in `z:`, those
local met, ids, places, owners, number, chunk = {}, {}, {}, {}, 0, math.ceil(wanted / math.max(1, who)) + 1
for k = 1, who do nexts[k] = 0 end
while number < wanted do
  local k
  if first_fresh <= new and bs < 8 then
    cg, bs, k, first_fresh = 0, bs + 1, first_fresh, first_fresh + 1
  else
    bs = 0
    if first > last or first_fresh > new then cg = 0 end
    if first <= last then
      k, V, first = order[first], math.max(V, scores[first]), first + 1
    elseif first_fresh <= new then
      k, first_fresh = first_fresh, first_fresh + 1
    else
      break
    end
  end
  if nexts[k] == 0 then
    local text = stored_users[k]
    if not text or #text ~= USER_SIZE then plain = false break end
    local S, served, since, ewma, inf, lane = struct.unpack(USER, text)
    plain = lane % SORTED == (k <= new and 1 or 2) and (k <= new or scores[first - 1] == S) and S > -FAR
      and S < 2 ^ 52 and served >= 0 and served < 2 ^ 52 and since >= 0 and since < 2 ^ 53 and ewma >= 0
      and ewma < 2 ^ 53
    if not plain then break end
    local to_chunk = format("%d", chunk - 1)
    local queue = read("LRANGE", P .. "n:" .. names[k], "0", to_chunk)
    if lane >= SORTED then
      local other = read("ZRANGE", P .. "z:" .. names[k], "0", to_chunk, "WITHSCORES")
      plain, others, other.first = not queue.err and other[1], others or {}, 1
      others[k] = other
    else
      plain = queue[1]
    end
    if not plain then break end
    queues[k], nexts[k], tags[k], infs[k], lanes[k] = queue, 1, S, inf, lane % SORTED
    charges[k] = counted and 1
      or math.floor(math.max(1000, math.min(lease_ms * 1000 / 3, ewma > 0 and ewma or est0)))
    met[#met + 1] = k
  end
  local queue, at, S, other, key = queues[k], nexts[k], tags[k], others and others[k], P .. "n:" .. names[k]
  number = number + 1
--- @include "quick_next"
  if not plain then break end
  if lanes[k] == 1 then S = math.max(S, V) end
  S = S + charges[k]
  tags[k], infs[k], lanes[k] = S, infs[k] + 1, 2
  if not queue[nexts[k]] and not (other and other[other.first]) then
    lanes[k] = 0
  elseif not more or (first <= last and comes_after(scores[last], names[order[last]], S, names[k])) then
    local place, name = last, names[k]
    while place >= first and comes_after(scores[place], names[order[place]], S, name) do
      order[place + 1], scores[place + 1] = order[place], scores[place]
      place = place - 1
    end
    order[place + 1], scores[place + 1], last = k, S, last + 1
  end
end
if not plain then break end
ready_left = first <= last
