-- quick_turns: chooses the users of the next tasks, in order, as pick does; a part of the block of quick_pop. It writes
-- nothing.
local chunk = math.ceil(wanted / math.max(1, who)) + 1
local queues, nexts, others, charges, infs, lanes, met = {}, {}, {}, {}, {}, {}, {}
local ids, places, owners, number = {}, {}, {}, 0
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
  local queue, key = queues[k], P .. "n:" .. names[k]
  if not queue then
    local text = stored_users[k]
    if not text or #text ~= USER_SIZE then plain = false break end
    local S, served, since, ewma, inf, lane = struct.unpack(USER, text)
    local other = lane >= SORTED
      and read("ZRANGE", P .. "z:" .. names[k], "0", format("%d", chunk - 1), "WITHSCORES")
    lane, queue = lane % SORTED, read("LRANGE", key, "0", format("%d", chunk - 1))
    plain = lane == (k <= new and 1 or 2) and (tags[k] or S) == S and S > -FAR and S < 2 ^ 52 and served >= 0
      and served < 2 ^ 52 and since >= 0 and since < 2 ^ 53 and ewma >= 0 and ewma < 2 ^ 53 and not queue.err
    if other then plain, others[k], other.first = plain and other[1], other, 1 else plain = plain and queue[1] end
    if not plain then break end
    queues[k], nexts[k], tags[k], infs[k], lanes[k] = queue, 1, S, inf, lane
    local charge = math.min(lease_ms * 1000 / 3, ewma > 0 and ewma or est0)
    charges[k] = counted and 1 or math.floor(math.max(1000, charge))
    met[#met + 1] = k
  end
  local at, S = nexts[k], tags[k]
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
