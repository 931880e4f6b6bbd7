-- user_record: the records of users, the fields of one hash, each read at most once in a script. A record is a packed
-- head with what every user has, and behind it a MessagePack map of what few have. Unknown fields of that are kept. An
-- unreadable record counts as absent; the script that finds it sets it aside.
--- @include "user_format"
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
