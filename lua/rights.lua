#!lua flags=no-writes
--[[ rights: which commands the caller may send, with keys and channels of this queue.
  KEYS[1] meta
  ARGV[1..] for each task: words (of a command, with spaces between; * is a key, & a channel)
  Returns {1, allowed, ...} with one place for each command: 1 or 0 | {-5, what} | {-6, schema} ]]
--- @include "begin_reading"
--- @include "arguments"
local refused = begin_reading()
if refused then return refused end
if not grouped(0, 1) then return bad_arguments("rights takes commands") end

local reply = {1}
for index, text in ipairs(ARGV) do
  local words = {}
  for word in string.gmatch(text, "%S+") do
    words[#words + 1] = word == "*" and KEYS[1] or word == "&" and P .. "done:rights" or word
  end
  local known, allowed = pcall(redis.acl_check_cmd, unpack(words))
  reply[index + 1] = known and allowed and 1 or 0
end
return reply
