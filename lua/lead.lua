#!lua flags=allow-oom
--[[ lead: makes a scheduler the leader if there is none, renews its lease, or ends it at once.
  Guarantee: each new leader has a higher term. Repeating the call returns the same.
  KEYS[1] meta
  ARGV[1] holder: unique to one process, 1 to 500 bytes  ARGV[2] lease_ms: 0 resigns
  Returns {1, term, lease_ms, born, changes} it leads, or without the last two it resigned | {2, term, 0} it resigned
    before | {-11, term, left_ms, holder, born, changes} another one leads | {-5, what} | {-6, schema}; born is when
    the queue was created, changes the number of changes of schedules and settings ]]
--- @include "access"
--- @include "begin"
--- @include "arguments"
--- @include "reading"
local refused = begin()
if refused then return refused end
local holder, lease_ms = ARGV[1], number_at(2)
if #ARGV ~= 2 or holder == "" or #holder > 500 or not lease_ms then
  return bad_arguments("lead takes a holder and a lease")
end

local lock = call("HMGET", P .. "lock", "holder", "term", "until", "lease")
-- A corrupt term is followed by one above all that were possible.
local term, left_ms = whole(lock[2] or 0) or now_ms, (whole(lock[3]) or 0) - now_ms
-- A lease never lasts longer than it was granted for.
if left_ms > (whole(lock[4]) or 0) then left_ms = 0 end
if lease_ms == 0 then
  if lock[1] ~= holder then return {2, term, 0} end
  call("HDEL", P .. "lock", "holder", "until", "lease")
  call("PUBLISH", P .. "changed", "leader") -- so that the others do not wait until the lease ends
  return {1, term, 0}
end
if lock[1] and lock[1] ~= holder and left_ms > 0 then return {-11, term, left_ms, lock[1], edition()} end
if lock[1] ~= holder then term = term + 1 end
create()
call("HSET", P .. "lock", "holder", holder, "term", int(term), "until", int(now_ms + lease_ms),
  "lease", lease_ms)
save_globals() -- in a queue without tasks nothing else records the time
return {1, term, lease_ms, edition()}
