#!lua flags=no-writes
--[[ rights: checks which commands the caller may send, with the keys and channels of this queue.
  KEYS[1] meta
  ARGV[1..] for each task: words (of a command, separated by spaces; * and the part after the queue's prefix is a
    key, * alone the meta key, & and the part after the prefix a channel)
  Returns {1, allowed, ...} with one place per command: 1, 0, or 2 if
    the server does not have the command | {-5, what} | {-6, schema} ]]
--- @include "access"
--- @include "begin"
--- @include "arguments"

-- 1, 0, or 2 if there is no such command.
local function right(words)
  local known, may = pcall(redis.acl_check_cmd, unpack(words))
  return not known and 2 or may and 1 or 0
end

-- Also report missing rights for the commands that every script begins with.
local may_read = right({"TIME"}) == 1 and right({"HMGET", KEYS[1], "schema"}) == 1
local refused = may_read and begin_reading()
if refused then return refused end
if not grouped(0, 1) then return bad_arguments("rights takes commands") end

local function named(word)
  local sign, name = string.match(word, "^([*&])(.*)$")
  if not sign then return word end
  if name == "" then return sign == "*" and KEYS[1] or P .. "done:rights" end
  -- Add an id where one follows, because a rule may end in a * that matches at least one character.
  return P .. name .. (string.sub(name, -1) == ":" and "rights" or "")
end

local reply = {1}
for index, text in ipairs(ARGV) do
  local words = {}
  for word in string.gmatch(text, "%S+") do words[#words + 1] = named(word) end
  reply[index + 1] = right(words)
end
return reply
