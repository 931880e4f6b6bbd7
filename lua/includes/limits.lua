-- limits: the limits of a user, read with its record, so that a change takes effect at once. Its own values override
-- the defaults of all users, which are stored under the empty name. The rate is a token bucket stored as one number
-- (GCRA: ITU-T I.371): `tat` is when a bucket of `burst` starts, refilled by one each 1/rate seconds, will be full
-- again, in microseconds.
--- @include "ranges"
local defaults

local function settings(id)
  local field = call("HMGET", P .. "cfg:" .. id, unpack(SETTINGS))
  for index, name in ipairs(SETTINGS) do field[index] = field[index] and in_range(name, field[index]) end
  return field
end

local function read_limits(u)
  defaults = defaults or settings("")
  local own = settings(u.id)
  u.w, u.paused = own[1] or 1, own[6]
  u.cap, u.rate, u.burst = own[2] or defaults[2], own[3] or defaults[3], own[4] or defaults[4] or 1
  -- Rate and burst may have changed: a bucket never takes longer to fill than they allow.
  if u.r.tat and u.rate then
    u.r.tat = math.min(u.r.tat, now + u.burst * 1000000 / u.rate)
  elseif u.r.tat then
    u.r.tat, u.unlimited = nil, true
  end
end

-- The maximum number of waiting tasks of a user.
local function backlog_of(id)
  defaults = defaults or settings("")
  return settings(id)[5] or defaults[5]
end

-- When the user may start its next task.
local function next_start(u) return (u.r.tat or 0) - (u.burst - 1) * 1000000 / u.rate end

local function spend_start(u) u.r.tat = math.max(u.r.tat or 0, now) + 1000000 / u.rate end
