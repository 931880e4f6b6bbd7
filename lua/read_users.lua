#!lua flags=no-writes
--[[ read_users: returns one page of the users that have work, a debt or a partly used rate, ordered by id.
  KEYS[1] meta
  ARGV[1] from: '(' and the user before the first one, '[' and the first possible one, or '-' from the beginning
  ARGV[2] most: 1 to 1000
  Returns {1, now_ms, cost_mode, user, inf, served, since, weight, waiting, lane, paused, cap, ...} with nine places
    per user | {-5, what} | {-6, schema} ]]
--- @include "access"
--- @include "begin"
--- @include "arguments"
--- @include "user_record"
--- @include "queues"
local refused = begin_reading()
if refused then return refused end
local from, most = ARGV[1], number_at(2)
if #ARGV ~= 2 or not page_from(from) or not most or most < 1 or most > 1000 then
  return bad_arguments("read_users takes a user and a number of users")
end

local reply = {1, int(wall_ms), counted and "count" or "time"}
local all = settings("")
for _, id in ipairs(call("ZRANGEBYLEX", P .. "users", from, "+", "LIMIT", 0, most)) do
  local r = user_record(id) or {inf = 0, served = 0, since = now_ms, lane = ""}
  local own = settings(id)
  local cap = own[2] or all[2]
  local queued, critical = waiting_of(id, r)
  for _, value in ipairs({
    id, r.inf, exact(r.served), int(r.since - shift_ms), exact(own[1] or 1), queued + critical, r.lane, own[6] or "",
    cap and int(cap) or "",
  }) do
    reply[#reply + 1] = value
  end
end
return reply
