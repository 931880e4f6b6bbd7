-- rank_after: how many members of an index are at or before a score and id, found by binary search.
--- @include "comes_after"
local function rank_after(index, score, id)
  local key = P .. index
  local low, high = call("ZCOUNT", key, "-inf", "(" .. score), call("ZCOUNT", key, "-inf", score)
  while low < high do
    local middle = math.floor((low + high) / 2)
    local member = call("ZRANGE", key, middle, middle)[1]
    if comes_after(0, member, 0, id) then high = middle else low = middle + 1 end
  end
  return low
end
