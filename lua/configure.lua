#!lua flags=allow-oom
--[[ configure: changes the settings of the whole queue.
  Guarantee: all settings of the call are stored, or none. The cost mode changes only while no user has tasks or debts.
  KEYS[1] meta
  ARGV[1] cost_mode: 'time', 'count', or '' unchanged  ARGV[2] backlog: most waiting tasks of the queue, 0 for no limit,
    '' unchanged
  Returns {1} | {2} nothing to change | {-8} users have tasks or debts | {-5, what} | {-6, schema} ]]
--- @include "access"
--- @include "begin"
--- @include "arguments"
--- @include "writes"
local refused = begin()
if refused then return refused end
local mode, most = ARGV[1], ARGV[2]
if #ARGV ~= 2 or (mode ~= "" and mode ~= "time" and mode ~= "count") or (most ~= "" and not number_at(2)) then
  return bad_arguments("configure takes a cost mode and a backlog")
end

local was = call("HMGET", KEYS[1], "cost_mode", "backlog")
local changes_mode = mode ~= "" and mode ~= (was[1] or "time")
local changes_backlog = most ~= "" and most ~= (was[2] or "0")
if changes_mode and call("EXISTS", P .. "users") == 1 then return {-8} end
if not changes_mode and not changes_backlog then return {2} end
create()
count("settings", 1)
save_counts()
if changes_mode then
  call("HSET", KEYS[1], "cost_mode", mode)
  note_counted(mode == "count")
  g.V, g.aseq, g.bs, g.cg, g.est0 = 0, 0, 0, 0, 1000 -- averages and tags are in the old unit
end
if changes_backlog then
  call("HSET", KEYS[1], "backlog", most)
  note_backlog(number_at(2))
end
save_globals()
return {1}
