#!lua flags=allow-oom
--[[ verify_users: checks that users are in the rings that their records and queues require. It also returns the users
  with running tasks, for verify_running.
  Guarantee: all users of a call are checked and fixed in one step, so it is safe while the queue is in use.
  KEYS[1] meta
  ARGV[1] fix: 1 fixes the findings, 0 only reports them  ARGV[2] strays: 1 checks only those without a record
  ARGV[3..] for each task: user
  Returns {1, kind, name, what, fixed, ...} with four places per finding; a user with running
    tasks has the kind 'counts' | {-5, what} | {-6, schema} ]]
--- @include "begin"
--- @include "arguments"
--- @include "user_record"
--- @include "users"
--- @include "enter"
--- @include "verification"
--- @include "faults"
local refused = begin()
if refused then return refused end
if not begin_verification() or (ARGV[2] ~= "0" and ARGV[2] ~= "1") or not grouped(2, 1) then
  return bad_arguments("verify_users takes 0 or 1 twice, and users")
end

local ids = {}
for first = 3, #ARGV do ids[first - 2] = ARGV[first] end
read_users(ids)
local strays_only = ARGV[2] == "1"

for first = 3, #ARGV do
  local id = ARGV[first]
  local known = user_record(id)
  local what
  if unreadable_users[id] then
    what = "its record cannot be read"
  elseif known then
    what = not strays_only and fault_of(id, known)
  else
    what = fault_without_record(id)
  end
  if what then
    found("user", id, what, fix)
    if fix then
      local u = user(id)
      if not unreadable_users[id] then
        if u.r.tombstones then u.r.tombstones = tombstones_of(id) end
        seat(u)
      end
    end
  end
  if known and known.inf ~= 0 and not strays_only then found("counts", id, "", false) end
end
if fix then commit() end
return all_found()
