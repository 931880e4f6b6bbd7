#!lua flags=allow-oom
--[[ verify_parents: checks that tasks that wait for parents will be notified of their ends: that the number of open
  parents of each is right, and that these list it as a dependent.
  Guarantee: each task is checked and fixed in one step, so it is safe while the queue is in use.
  KEYS[1] meta
  ARGV[1] fix: 1 fixes the findings, 0 only reports them  ARGV[2] result_ttl_ms
  ARGV[3..] for each task: id, parents (see dependencies.lua; as its message names them)
  Returns {1, kind, name, what, fixed, ...} with four places per finding | {-5, what} | {-6, schema}
  Moves: DEFERRED -> QUEUED, DEFERRED -> SCHEDULED, DEFERRED -> CANCELED, DEFERRED -> FAILED ]]
--- @include "begin"
--- @include "arguments"
--- @include "tasks"
--- @include "user_record"
--- @include "enter"
--- @include "dependencies"
--- @include "verification"
local STRIDE = 2

local refused = begin()
if refused then return refused end
local result_ttl_ms = number_at(2)
if not begin_verification() or not result_ttl_ms or not grouped(2, STRIDE) then
  return bad_arguments("verify_parents takes 0 or 1, a retention time, and an id and parents for each task")
end
for first = 3, #ARGV, STRIDE do
  if not parents_at(first + 1) then return bad_arguments("malformed parents of " .. ARGV[first]) end
end

-- Compares a task with its parents: how many of them will notify it of their ends; which do not list it; which have
-- notified it although they have not ended, as after a redrive; and one whose end cancels it. Nil if a list of
-- dependents is too long.
local function compare(t, lines)
  local others, silent, told, failed, number = {}, {}, {}, nil, 0
  for one, other in string.gmatch(t.r.instead or "", "([^\n]*)\n([^\n]*)\n") do others[one] = other end
  for edge, named in string.gmatch(lines, "([cr])([^\n]+)") do
    local parent = task(others[named] or named)
    local state, list = parent.r.state, dependents_of(parent)
    if not list then return nil end
    if take_one(list.open, t.id) then
      number = number + 1
    else
      local known = take_one(list.told, t.id)
      if state and not known then
        silent[#silent + 1] = {id = parent.id, edge = TERMINAL[state] and "n" or edge}
      elseif state and not TERMINAL[state] then
        told[#told + 1] = {id = parent.id, edge = edge}
      end
      if edge == "c" and (not state or state == "FAILED" or state == "CANCELED") then failed = parent.id end
    end
  end
  return number, silent, told, failed
end

local function look(t, lines)
  local number, silent, told, failed = compare(t, lines)
  if not number then return found("unseen", t.id, "the dependents of tasks with very many of them", false) end
  local open, ids, edges = t.r.open, {}, {}
  local function add(one)
    ids[#ids + 1], edges[#edges + 1] = one.id, one.edge
    if one.edge ~= "n" then number = number + 1 end
  end
  for _, one in ipairs(silent) do add(one) end
  for _, one in ipairs(told) do
    if open > number then add(one) end
  end
  if #ids > 0 then
    found("dependents", t.id, "it depends on " .. ids[1] .. ", which does not know of it", fix)
  elseif open ~= number then
    found("dependents", t.id, "it waits for " .. int(open) .. " others, and " .. int(number) .. " will tell it", fix)
  else
    return
  end
  if not fix then return end
  bind(t, {ids = ids, edges = edges})
  if open > number and failed then
    free(t.id, failed, false, result_ttl_ms)
  else
    -- If no parent is left to notify it, the call of free below removes the last one.
    t.r.open = math.max(1, number)
    will_write(t)
    if number == 0 then free(t.id, "", true, result_ttl_ms) end
  end
end

read_ahead(2, STRIDE)
for first = 3, #ARGV, STRIDE do
  local t = task(ARGV[first])
  if t.r.state == "DEFERRED" then look(t, ARGV[first + 1]) end
end
if fix then
  send_edges()
  commit()
end
return all_found()
