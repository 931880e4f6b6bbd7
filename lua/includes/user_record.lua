-- user_record: reads and packs the records and the limits of users.
--- @include "access"
--- @include "formats"
--- @include "begin"
--- @include "task_record"

-- The records of users, the fields of one hash, each read at most once in a script. A record is a packed
-- head with what every user has, and behind it a MessagePack map of what few have. Unknown fields of that are kept. An
-- unreadable record counts as absent; the script that finds it sets it aside.
local LANES, LANE_NUMBERS = {[0] = "", "F", "R", "P"}, {[""] = 0, F = 1, R = 2, P = 3}
local user_records, unreadable_users = {}, {}

-- Raises an error if it is not a record. A tag may be negative, but not so low that its user would be the next one for
-- years.
local function parse_user(text)
  local S, served, since, ewma, inf, lane = struct.unpack(USER, text)
  local r = #text > USER_SIZE and cmsgpack.unpack(string.sub(text, USER_SIZE + 1)) or {}
  for name in pairs(r) do assert(type(name) == "string") end
  r.S, r.served, r.since, r.ewma, r.inf = S, served, since, ewma > 0 and ewma or nil, inf
  r.lane, r.borrows = LANES[lane % BORROWS], lane % SORTED >= BORROWS or nil
  r.sorted = lane >= SORTED or nil
  local fits = S > -FAR and S < TOP / 2 and sane(served) and sane(since) and sane(ewma) and lane < 2 * SORTED
    and (not r.cs or sane(r.cs)) and (not r.tat or sane(r.tat)) and (not r.leeway or sane(r.leeway))
    and (not r.cut or r.cut < TOP)
    and (not r.tombstones or sane(r.tombstones))
  return fits and r or error("no record")
end

local HEAD = {
  S = true, served = true, since = true, ewma = true, inf = true, lane = true, borrows = true, sorted = true,
}

local function pack_user(r)
  local tail
  for name, value in pairs(r) do
    if not HEAD[name] then
      tail = tail or {}
      tail[name] = value
    end
  end
  local lane = LANE_NUMBERS[r.lane] + (r.borrows and BORROWS or 0) + (r.sorted and SORTED or 0)
  return struct.pack(USER, r.S, r.served, r.since, r.ewma or 0, r.inf, lane) .. (tail and cmsgpack.pack(tail) or "")
end

local function note_user(id, text)
  local sound, r = false, false
  if text then sound, r = pcall(parse_user, text) end
  user_records[id], unreadable_users[id] = sound and r, text and not sound
end

-- Reads the records of many users that are not known yet, with one command.
local function read_users(ids)
  for first = 1, #ids, CHUNK do
    local last = math.min(first + CHUNK - 1, #ids)
    for place, text in ipairs(call("HMGET", P .. "u", unpack(ids, first, last))) do
      local id = ids[first + place - 1]
      if user_records[id] == nil then note_user(id, text) end
    end
  end
end

-- The record of a user; false if there is none that can be read.
local function user_record(id)
  if user_records[id] == nil then note_user(id, call("HGET", P .. "u", id)) end
  return user_records[id]
end

-- Minimum and maximum of each limit of a user, whether it is whole, and whether it may also be a default of all
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

-- The limits of a user, read with its record, so that a change takes effect at once. Its own values override
-- the defaults of all users, which are stored under the empty name. The rate is a token bucket stored as one number
-- (GCRA: ITU-T I.371): `tat` is when a bucket of `burst` starts, refilled by one each 1/rate seconds, will be full
-- again, in microseconds.
local defaults

-- The script may have changed them.
local function forget_defaults() defaults = nil end

-- The limits of a user, in the order of SETTINGS, and whether it has any.
local function settings(id)
  local field, some = call("HMGET", P .. "cfg:" .. id, unpack(SETTINGS)), nil
  for index, name in ipairs(SETTINGS) do
    field[index] = field[index] and in_range(name, field[index])
    some = some or field[index] and true
  end
  return field, some or nil
end

local function read_limits(u)
  defaults = defaults or settings("")
  local own, some = settings(u.id)
  u.w, u.paused = own[1] or 1, own[6]
  u.r.limited = some -- quick paths do not know a record of this length
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

-- Reads the tasks of a call, whose ids come first in each group of ARGV, and then their users, each with
-- one command.
local function read_ahead(head, stride)
  local ids, owners, seen = {}, {}, {}
  for first = head + 1, #ARGV, stride do ids[#ids + 1] = ARGV[first] end
  read_tasks(ids)
  for _, id in ipairs(ids) do
    local owner = task_records[id] and task_records[id].user
    if owner and not seen[owner] then
      seen[owner] = true
      owners[#owners + 1] = owner
    end
  end
  read_users(owners)
end
