#!lua
--[[ schedule: stores new or changed schedules.
  Guarantee: all schedules of the call are stored, or none. Repeating the call changes nothing. A change that does not
  affect the times keeps the next run, even if it is already due.
  KEYS[1] meta
  ARGV[1..] for each task: schedule, revision ('0' a new one, may replace one without further runs, 'N' the
    revision that was read, '' any), timing (digest), next ('' the leader computes it, else ms),
    on ('1' fires, '0' does not, '' unchanged), overdue (how many of its runs are due and not fired; 0 unknown),
    overdue_first, overdue_last, definition, content (digest of the definition, equal for equal ones)
  Returns {1, now_ms, code, revision, ...} with two places per schedule: {1, revision} stored, {2, revision} unchanged
    | {-2, schedule} no such schedule | {-10, schedule, revision} another revision | {-5, what} | {-6, schema} ]]
--- @include "access"
--- @include "begin"
--- @include "arguments"
--- @include "writes"
--- @include "schedule_record"
--- @include "schedules"
local STRIDE = 10
local MOST, MOST_BYTES = 100, 4194304 -- keep equal to calls/schedules.py
local SWITCHES = {["0"] = true, ["1"] = true, [""] = true}
local refused = begin()
if refused then return refused end
if not grouped(0, STRIDE) or #ARGV > MOST * STRIDE then
  return bad_arguments("schedule takes 10 arguments each for 1 to 100 schedules")
end

local keys, total, seen = {}, 0, {}
for first = 1, #ARGV, STRIDE do
  local id = id_at(first)
  if not id or #id > 100 or seen[id] or (ARGV[first + 1] ~= "" and not number_at(first + 1)) or ARGV[first + 2] == ""
    or (ARGV[first + 3] ~= "" and not number_at(first + 3)) or not SWITCHES[ARGV[first + 4]]
    or not overdue_at(first + 5) or ARGV[first + 8] == "" or ARGV[first + 9] == "" then
    return bad_arguments("a schedule is malformed: " .. ARGV[first])
  end
  seen[id], total = true, total + #ARGV[first + 8]
  keys[#keys + 1] = P .. "schedule:" .. id
end
if total > MOST_BYTES then return bad_arguments("the definitions of one call have more than 4 MiB") end

-- Whether a schedule has no further runs, and the new one does not begin with a time that was fired.
local function makes_room(r, next_ms) return r.forget and not (next_ms and r.last and next_ms <= r.last) end

read_schedules(keys)
local reply, fresh = {1, int(wall_ms)}, {}
for first = 1, #ARGV, STRIDE do
  local r = schedule(ARGV[first]).r
  local expected = number_at(first + 1)
  local on = ARGV[first + 4] == "" and r.on ~= false or ARGV[first + 4] == "1"
  if r.rev and r.content == ARGV[first + 9] and r.on == on then
    reply[#reply + 1], reply[#reply + 2] = 2, r.rev
  elseif not r.rev and expected ~= 0 then
    return {-2, ARGV[first]}
  elseif r.rev and expected and expected ~= r.rev and not (expected == 0 and makes_room(r, number_at(first + 3))) then
    return {-10, ARGV[first], r.rev}
  else
    reply[#reply + 1], reply[#reply + 2] = 1, 0
    fresh[#fresh + 1] = {first = first, on = on, place = #reply}
  end
end
if #fresh == 0 then return reply end

create()
for _, entry in ipairs(fresh) do
  local first = entry.first
  local s = schedule(ARGV[first])
  local r = s.r
  if not r.rev then
    if unreadable[s.key] then set_aside(s.key) end
    add_to("schedules", "0", s.id)
  end
  if not (r.rev and r.on and entry.on and r.timing == ARGV[first + 2]) then
    retime(s, number_at(first + 3), entry.on and "edited" or "disabled", overdue_at(first + 5))
  end
  r.def, r.content, r.timing, r.on = ARGV[first + 8], ARGV[first + 9], ARGV[first + 2], entry.on
  reply[entry.place] = change(s)
end
commit_schedules()
return reply
