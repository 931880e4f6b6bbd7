#!lua flags=no-writes
--[[ read_users: one page of the users who have work, debts, or a part of their rate used up, in the order of their ids.
  KEYS[1] meta
  ARGV[1] from: '(' and the user before the first one, or '-' from the beginning  ARGV[2] most: 1 to 1000
  Returns {1, now_ms, cost_mode, user, inf, served, since, weight, waiting, lane, ...} with seven places for each user
    | {-5, what} | {-6, schema} ]]
--- @include "begin"
--- @include "arguments"
local refused = begin()
if refused then return refused end
local from, most = ARGV[1], number_at(2)
if #ARGV ~= 2 or not string.match(from, "^[(-]") or not most or most < 1 or most > 1000 then
  return bad_arguments("read_users takes a user and a number of users")
end

local reply = {1, int(now_ms), counted and "count" or "time"}
for _, id in ipairs(call("ZRANGEBYLEX", P .. "users", from, "+", "LIMIT", 0, most)) do
  local field = call("HMGET", P .. "u:" .. id, "inf", "served", "since", "lane")
  local weight = call("HGET", P .. "cfg:" .. id, "weight")
  local waiting = call("ZCARD", P .. "n:" .. id) + call("ZCARD", P .. "c:" .. id)
  for _, value in ipairs({
    id, field[1] or "0", field[2] or "0", field[3] or "0", weight or "1", int(waiting), field[4] or "",
  }) do
    reply[#reply + 1] = value
  end
end
return reply
