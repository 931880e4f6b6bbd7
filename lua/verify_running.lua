#!lua flags=allow-oom
--[[ verify_running: checks the counts of running tasks of the given users and of all users that have running tasks.
  Guarantee: all users of a call are checked and fixed in one step, so it is safe while the queue is in use.
  KEYS[1] meta
  ARGV[1] fix: 1 fixes the findings, 0 only reports them
  ARGV[2..] for each task: user (whose record counts running tasks)
  Returns {1, kind, name, what, fixed, ...} with four places per finding | {-5, what} | {-6, schema} ]]
--- @include "begin"
--- @include "arguments"
--- @include "user_record"
--- @include "users"
--- @include "enter"
--- @include "verification"
local refused = begin()
if refused then return refused end
if not begin_verification() or #ARGV > 10001 then return bad_arguments("verify_running takes 0 or 1, and users") end

local running = running_by_user()
if not running then
  found("unseen", "running", "too many tasks run for those of each user to be counted", false)
  return all_found()
end
for index = 2, #ARGV do running[ARGV[index]] = running[ARGV[index]] or 0 end
local ids = {}
for id in pairs(running) do ids[#ids + 1] = id end
read_users(ids)

local fixed = false
for id, number in pairs(running) do
  local known = user_record(id)
  local what
  if known and known.inf ~= number then
    what = "it counts " .. exact(known.inf) .. " running tasks, and there are " .. int(number)
  elseif not known and not unreadable_users[id] and number > 0 then
    what = "it has running tasks and no record"
  end
  if what then
    found("user", id, what, fix)
    if fix then
      local u = user(id)
      seat(u)
      u.r.inf = number
      fixed = true
    end
  end
end
if fixed then commit() end
return all_found()
