-- call: sends a command. A key of the wrong type is set aside and the command sent again, so that one corrupt key
-- blocks nothing. For the meta key, and in read-only scripts, the error is raised instead. P is the prefix of all keys
-- of the queue; KEYS[1] is the meta key.
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

local function call(command, ...)
  local answer = redis.pcall(command, ...)
  if type(answer) ~= "table" or not answer.err then return answer end
  local key = ...
  local spoiled = string.sub(answer.err, 1, 9) == "WRONGTYPE" and key ~= KEYS[1] and not spoiled_is_error
  if not spoiled or not set_aside(key) then error(answer) end
  spoiled_keys[#spoiled_keys + 1] = key
  return redis.call(command, ...)
end
