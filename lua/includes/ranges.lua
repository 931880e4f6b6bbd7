-- ranges: minimum and maximum of each limit of a user, whether it is whole, and whether it may also be a default of all
-- users.
local SETTINGS = {"weight", "cap", "rate", "burst", "backlog", "paused"}
local RANGES = {
  weight = {0.01, 100, false, false}, cap = {1, 1e9, true, true}, rate = {1e-6, 1e6, false, true},
  burst = {1, 1e9, true, true}, backlog = {1, 1e9, true, true}, paused = {1, 1, true, false},
}

-- The value of a limit, or nil if it is invalid.
local function in_range(setting, value)
  local range = RANGES[setting]
  local number = range and between(value, range[1], range[2])
  if number and not (range[3] and number % 1 ~= 0) then return number end
end
