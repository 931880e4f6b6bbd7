#!lua flags=no-writes
--[[ read_configured: returns one page of the users that have limits, ordered by id, and the settings of the queue. The
  defaults of all users come first, under an empty name.
  KEYS[1] meta
  ARGV[1] from: '(' and the user before the first one, or '-' from the beginning  ARGV[2] most: 1 to 1000
  Returns {1, cost_mode, backlog, born, changes, user, setting, value, ...} with three places per setting; backlog
    0: no limit; born, changes: see lead.lua
    | {-5, what} | {-6, schema} ]]
--- @include "access"
--- @include "begin"
--- @include "arguments"
--- @include "user_record"
--- @include "reading"
local refused = begin_reading()
if refused then return refused end
local from, most = ARGV[1], number_at(2)
if #ARGV ~= 2 or not page_from(from) or not most or most < 1 or most > 1000 then
  return bad_arguments("read_configured takes a user and a number of users")
end

local reply = {1, counted and "count" or "time", int(backlog or 0), edition()}
for _, id in ipairs(call("ZRANGEBYLEX", P .. "configured", from, "+", "LIMIT", 0, most)) do
  local own = settings(id)
  for index, name in ipairs(SETTINGS) do
    local size = #reply
    if own[index] then reply[size + 1], reply[size + 2], reply[size + 3] = id, name, exact(own[index]) end
  end
end
return reply
