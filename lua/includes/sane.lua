-- sane: checks numbers. An invalid number was not written by the scripts and counts as absent: NaN, or a number so
-- large that digits are lost, would corrupt everything that is computed from it.
local TOP = 9007199254740992 -- 2^53

-- A number from `least` to `most`, not NaN.
local function between(value, least, most)
  local number = tonumber(value or nil)
  if number and number >= least and number <= most then return number end
end

local function sane(number) return number >= 0 and number < TOP end

-- A whole number from 0 and below 2^53.
local function whole(value)
  local number = tonumber(value or nil)
  if number and number >= 0 and number < TOP and number % 1 == 0 then return number end
end
