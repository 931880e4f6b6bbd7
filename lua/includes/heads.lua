-- heads: the first users of a ring, kept in order in memory while pop serves them. An entry is stale once its user has
-- moved: it is skipped when it comes first. The rest of the ring is not read: the heads are as many users as one pop
-- can look at, so none of the rest can come first before its end.
--- @include "comes_after"

local function heads(ring, size, stands_at)
  local found = call("ZRANGEBYSCORE", P .. ring, "-inf", "+inf", "WITHSCORES", "LIMIT", 0, size)
  local list = {ids = {}, scores = {}, first = 1, last = #found / 2, more = #found == 2 * size, stands_at = stands_at}
  for place = 1, list.last do
    list.ids[place], list.scores[place] = found[2 * place - 1], tonumber(found[2 * place])
  end
  return list
end

local function head(list)
  while list.first <= list.last do
    local id, score = list.ids[list.first], list.scores[list.first]
    local u = users[id]
    if not u or list.stands_at(u, score) then return id, score end
    list.first = list.first + 1
  end
end

local function insert(list, id, score)
  local place, ids, scores = list.last, list.ids, list.scores
  if list.more and (place < list.first or comes_after(score, id, scores[place], ids[place])) then return end
  while place >= list.first and comes_after(scores[place], ids[place], score, id) do
    ids[place + 1], scores[place + 1] = ids[place], scores[place]
    place = place - 1
  end
  ids[place + 1], scores[place + 1] = id, score
  list.last = list.last + 1
end
