-- quick_next: the next task of a user for quick_turns, and its place: false for one of its list, whose body says it. As
-- in take, it is the one with the lower place of the first in the list and the first beside it.
local id, own_place = queue[at], false
if other and other[other.first] then
  local beside, score = other[other.first], tonumber(other[other.first + 1])
  if id and other.of ~= id then
    local start = read("GETRANGE", P .. "t:" .. id, 0, 8)
    plain = type(start) == "string" and #start == 9
    if not plain then break end
    other.of, other.place = id, struct.unpack("<d", string.sub(start, 2)) - 120000000
  end
  if not id or comes_after(other.place, id, score, beside) then id, own_place = beside, score end
end
ids[number], places[number], owners[number] = id, own_place, k
if not own_place then nexts[k] = at + 1 else other.first = other.first + 2 end
-- Chunks that are used up are followed by others.
if not own_place and not queue[at + 1] and at % chunk == 0 then
  for _, value in ipairs(read("LRANGE", key, format("%d", at), format("%d", at + chunk - 1))) do
    queue[#queue + 1] = value
  end
elseif own_place and not other[other.first] and #other % (2 * chunk) == 0 then
  local from = #other / 2
  for _, value in ipairs(read("ZRANGE", P .. "z:" .. names[k], format("%d", from), format("%d", from + chunk - 1),
    "WITHSCORES")) do
    other[#other + 1] = value
  end
end
