-- sane: numbers that the scripts can count with. Others have been written by somebody else, and count as absent: a
-- number that is none, or so large that its last digits are lost, would spoil all that is computed from it.
local TOP = 2 ^ 53

-- A number from `least` to `most`; NaN is none.
local function between(value, least, most)
  local number = tonumber(value or nil)
  if number and number >= least and number <= most then return number end
end

-- A whole number from 0 and below 2^53.
local function whole(value)
  local number = tonumber(value or nil)
  if number and number >= 0 and number < TOP and number % 1 == 0 then return number end
end
