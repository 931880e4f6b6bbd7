#!lua flags=allow-oom
--[[ verify_schedules: checks that schedules can be read and are in the indexes that their records require.
  Guarantee: each schedule is checked and fixed in one step, so it is safe while the queue is in use.
  KEYS[1] meta
  ARGV[1] fix: 1 fixes the findings, 0 only reports them  ARGV[2] strays: 1 checks only those without a record
  ARGV[3..] for each task: schedule
  Returns {1, kind, name, what, fixed, ...} with four places per finding | {-5, what} | {-6, schema} ]]
--- @include "access"
--- @include "begin"
--- @include "arguments"
--- @include "writes"
--- @include "schedule_record"
--- @include "schedules"
--- @include "verification"
local refused = begin()
if refused then return refused end
if not begin_verification() or (ARGV[2] ~= "0" and ARGV[2] ~= "1") or not grouped(2, 1) then
  return bad_arguments("verify_schedules takes 0 or 1 twice, and schedules")
end

local keys = {}
for index = 3, #ARGV do keys[index - 2] = P .. "schedule:" .. ARGV[index] end
read_schedules(keys)

local strays_only = ARGV[2] == "1"

local function fault_of(s)
  local stands, due, at = score("schedules", s.id), score("due", s.id), due_at(s.r)
  if s.r.rev then
    if strays_only then return nil end
    if s.r.on and not at then return "it fires and has no next time" end
    if stands ~= 0 then return "it has a record and is not in the index of schedules" end
    if at and not due then return "it fires and is not among those that are due" end
    if due ~= at then return "the index of those that are due and its record do not agree" end
  elseif call("EXISTS", s.key) == 1 then
    return not strays_only and "its record cannot be read" or nil
  elseif stands or due then
    return "it is in an index and has no record"
  end
end

local fixed = false
for index = 3, #ARGV do
  local s = schedule(ARGV[index])
  local what = fault_of(s)
  if what then
    found("schedule", s.id, what, fix)
    if fix and s.r.rev then
      if s.r.on and not due_at(s.r) then s.r.from = wall_ms end
      add_to("schedules", "0", s.id)
      will_write_schedule(s)
    elseif fix then
      lose(s.id)
    end
    fixed = fix
  end
end
if fixed then commit_schedules() end
return all_found()
