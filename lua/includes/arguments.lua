-- arguments: the number in an argument, or nil; and the answer to a call with wrong arguments.
local function number_at(index)
  local number = tonumber(ARGV[index])
  if number and number >= 0 and number < 2 ^ 53 then return number end
end

local function bad_arguments(what) return {-5, what} end

-- True when ARGV holds `head` arguments and then one or more whole groups of `stride`.
local function grouped(head, stride)
  local rest = #ARGV - head
  return rest > 0 and rest % stride == 0
end
