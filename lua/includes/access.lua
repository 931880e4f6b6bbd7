-- access: reads and changes keys, and says which stored values a script can have written.

-- The prefix of all keys of the queue. KEYS[1] is the meta key.
local P = string.sub(KEYS[1], 1, -5)
local CHUNK = 1000 -- Lua's stack limits what unpack can take; even, so that pairs stay together
local ASIDE_MS = 1209600000 -- 14 days for an operator to inspect a key that was set aside

-- Sets an unreadable key aside. Returns false if it does not exist or the script is read-only.
local function set_aside(key)
  local aside = P .. "broken:" .. string.sub(key, #P + 1)
  if redis.pcall("RENAME", key, aside).err then return false end
  redis.call("PEXPIRE", aside, ASIDE_MS)
  redis.pcall("HINCRBY", P .. "counts", "broken", 1)
  return true
end

local spoiled_is_error = false
local spoiled_keys = {} -- the keys set aside for their type

-- A key of the wrong type is an error from now on.
local function raise_spoiled() spoiled_is_error = true end

-- Sends a command. A key of the wrong type is set aside and the command sent again, so that one corrupt key blocks
-- nothing. For the meta key, and in read-only scripts, the error is raised instead.
local function call(command, ...)
  local answer = redis.pcall(command, ...)
  if type(answer) ~= "table" or not answer.err then return answer end
  local key = ...
  local spoiled = string.sub(answer.err, 1, 9) == "WRONGTYPE" and key ~= KEYS[1] and not spoiled_is_error
  if not spoiled or not set_aside(key) then error(answer) end
  spoiled_keys[#spoiled_keys + 1] = key
  return redis.call(command, ...)
end

-- An invalid number was not written by the scripts and counts as absent: NaN, or a number so large that
-- digits are lost, would corrupt everything that is computed from it.
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

-- Whether one member of a ring is behind another in the server's order: by score, then by bytes.
local function comes_after(score, id, other_score, other_id)
  if score ~= other_score then return score > other_score end
  local from, most = 1, math.min(#id, #other_id)
  while from + 7 <= most do
    local a, b = struct.unpack(">I4I4", id, from)
    local other_a, other_b = struct.unpack(">I4I4", other_id, from)
    if a ~= other_a then return a > other_a end
    if b ~= other_b then return b > other_b end
    from = from + 8
  end
  for index = from, most do
    local a, b = string.byte(id, index), string.byte(other_id, index)
    if a ~= b then return a > b end
  end
  return #id > #other_id
end
