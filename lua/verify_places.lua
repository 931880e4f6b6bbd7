#!lua flags=allow-oom
--[[ verify_places: checks that each member of an index belongs there.
  Guarantee: each member is checked and fixed in one step, so it is safe while the queue is in use.
  KEYS[1] meta
  ARGV[1] fix: 1 fixes the findings, 0 only reports them  ARGV[2] dead_ttl_ms
  ARGV[3..] for each task: index (the part after the queue's prefix), id
  Returns {1, kind, name, what, fixed, ...} with four places per finding | {-5, what} | {-6, schema} ]]
--- @include "access"
--- @include "begin"
--- @include "formats"
--- @include "arguments"
--- @include "writes"
--- @include "tasks"
--- @include "user_record"
--- @include "queues"
--- @include "users"
--- @include "enter"
--- @include "endings"
--- @include "retention"
--- @include "verification"
--- @include "faults"
local STRIDE = 2
local BELONGS = {
  running = {STARTED = true}, delayed = {SCHEDULED = true}, deferred = {DEFERRED = true}, dead = {FAILED = true},
  kept = TERMINAL, held = TERMINAL, n = {QUEUED = true}, z = {QUEUED = true}, c = {QUEUED = true},
  s = {SCHEDULED = true, DEFERRED = true},
}

local refused = begin()
if refused then return refused end
local dead_ttl_ms = number_at(2)
if not begin_verification() or not dead_ttl_ms or not grouped(2, STRIDE) then
  return bad_arguments("verify_places takes 0 or 1, a retention time, and an index and an id for each place")
end
for first = 3, #ARGV, STRIDE do
  if not BELONGS[string.match(ARGV[first], "^[^:]*")] then
    return bad_arguments("there is no index " .. ARGV[first])
  end
end

local function belongs(kind, owner, r)
  if not BELONGS[kind][r.state] or (owner and owner ~= r.user) then return false end
  if kind == "kept" or kind == "held" then return (kind == "held") == (r.keep and true or false) end
  if kind == "n" then return not r.prio end
  return (kind ~= "z" and kind ~= "c") or (kind == "c") == (r.prio == CRITICAL)
end

-- Where a list has a task, and for other indexes whether they have it.
local function found_at(kind, index, t)
  if kind == "n" then return index_of(P .. index, t.id, t.r.pushed_at) end
  return call("ZSCORE", P .. index, t.id)
end

local function remove(kind, owner, index, t, where)
  local queue = kind == "n" or kind == "z" or kind == "c"
  if not queue then return take_from(index, t.id) end
  local u = user(owner)
  if kind == "n" then unlist(u, t.id, where, t.r.pushed_at or 0) else call("ZREM", P .. index, t.id) end
  recount(u)
  if not t.r.state then count("queued", -1) end
end

-- The record of a user says how many tombstones its list has.
local function look_at_tombstone(id)
  local r = user_record(id)
  if not r or r.tombstones then return end
  found("user", id, "its list has tombstones that its record does not count", fix)
  local u = user(id)
  u.r.tombstones = tombstones_of(id)
  if fix then recount(u) end
end

for first = 3, #ARGV, STRIDE do
  local index, id = ARGV[first], ARGV[first + 1]
  local kind, owner = string.match(index, "^([^:]*):?(.*)$")
  if owner == "" then owner = nil end
  local t = task(id)
  local state = t.r.state
  local tombstone = kind == "n" and is_tombstone(id)
  local where = not tombstone and id ~= FILLER and not belongs(kind, owner, t.r) and found_at(kind, index, t)
  if tombstone then look_at_tombstone(owner) end
  if where then
    found("place", id, "it is in the index " .. index .. " and is " .. (state or "not known"), fix)
    if fix then
      remove(kind, owner, index, t, where)
      if (kind == "kept" or kind == "held") and not state then
        forget_task(id, "kept") -- its dependents may not be notified yet
        drop_key(P .. "x:" .. id)
      elseif kind ~= "s" and kind ~= "dead" and not state then
        bury(t, owner or "", index, dead_ttl_ms)
      end
    end
  end
end
if fix then commit() end
return all_found()
