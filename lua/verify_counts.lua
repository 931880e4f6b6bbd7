#!lua flags=allow-oom
--[[ verify_counts: checks that the counters of the queue are numbers, that `queued` is correct, and that nothing is
  below the bounds in the scheduler record.
  KEYS[1] meta
  ARGV[1] fix: 1 fixes the findings, 0 only reports them
  Returns {1, kind, name, what, fixed, ...} with four places per finding | {-5, what} | {-6, schema} ]]
--- @include "access"
--- @include "begin"
--- @include "arguments"
--- @include "bounds"
--- @include "user_record"
--- @include "queues"
--- @include "verification"
--- @include "reading"
local COUNTED = 10000 -- most users whose queues are counted in one step

local refused = begin()
if refused then return refused end
if not begin_verification() or #ARGV ~= 1 then return bad_arguments("verify_counts takes 0 or 1") end

local function repair(name, what, value)
  found("counter", name, what, fix)
  if fix then call("HSET", P .. "counts", name, int(value)) end
end

local said = call("HMGET", P .. "counts", unpack(COUNTERS))
for index, name in ipairs(COUNTERS) do
  if said[index] and not whole(said[index]) then
    -- The number of the next change must be above all earlier ones.
    repair(name, "it is not a number of tasks", name == "changes" and now_ms or 0)
  end
end

local wrong = false -- whether the scheduler record is
local function correct(name, value, fits)
  if fits then return end
  found("counter", name, "it says " .. exact(g[name]) .. ", and it should be " .. exact(value), fix)
  g[name], wrong = value, fix
end

local function look_at_bound(name, value) correct(name, value, g[name] <= value) end

look_at_bound("next_at", true_next_at())
look_at_bound("owe_min", true_owe_min())
look_at_bound("kept_at", true_kept_at())
local fresh_n = call("ZCARD", P .. "fresh")
correct("fresh_n", fresh_n, g.fresh_n == fresh_n)
if not g.critical and call("EXISTS", P .. "critical") == 1 then
  found("counter", "critical", "there are users with CRITICAL tasks, and the scheduler record does not say so", fix)
  g.critical, wrong = true, fix
end
if call("ZCARD", P .. "users") > COUNTED then
  if wrong then save_globals() end
  found("unseen", "counts", "too many users have work for their tasks to be counted", false)
  return all_found()
end
local waiting = 0
local ids = call("ZRANGEBYLEX", P .. "users", "-", "+", "LIMIT", 0, COUNTED)
read_users(ids)
for _, id in ipairs(ids) do
  local queued, critical = waiting_of(id, user_record(id))
  waiting = waiting + queued + critical
end
correct("queued", waiting, g.queued == waiting)
if wrong then save_globals() end
return all_found()
