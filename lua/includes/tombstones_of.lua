-- tombstones_of: counts the tombstones in the list of a user; nil if the list is too long.
--- @include "listed"
local MOST_ELEMENTS = 100000

local function tombstones_of(id)
  local key, number = P .. "n:" .. id, 0
  local size = call("LLEN", key)
  if size > MOST_ELEMENTS then return nil end
  for first = 0, size - 1, CHUNK do
    for _, element in ipairs(call("LRANGE", key, first, first + CHUNK - 1)) do
      if is_tombstone(element) then number = number + 1 end
    end
  end
  return number
end
