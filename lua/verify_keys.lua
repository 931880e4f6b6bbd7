#!lua flags=allow-oom
--[[ verify_keys: checks single keys: that their type is right, and that they do not belong to a deleted or ended task.
  KEYS[1] meta
  ARGV[1] fix: 1 fixes the findings, 0 only reports them
  ARGV[2..] for each task: key (the part after the queue's prefix)
  Returns {1, kind, name, what, fixed, ...} with four places per finding | {-5, what} | {-6, schema} ]]
--- @include "access"
--- @include "begin"
--- @include "arguments"
--- @include "writes"
--- @include "tasks"
--- @include "endings"
--- @include "retention"
--- @include "dependencies"
--- @include "verification"
local TYPES = {
  meta = "hash", g = "string", counts = "hash", cfg = "hash", t = "string", a = "hash", r = "string", x = "string",
  p = "string", u = "hash", dedup = "string", claim = "string", sweeping = "string", now = "string", n = "list",
  z = "zset", c = "zset", s = "zset", ready = "zset", fresh = "zset", critical = "zset", owe = "zset", timers = "zset",
  users = "zset", configured = "zset", running = "zset", delayed = "zset", deferred = "zset", kept = "zset",
  held = "zset", dead = "zset", schedule = "string", schedules = "zset", due = "zset",
  lock = "hash", w = "zset", d = "list", pending = "list", wake = "list", interrupt = "list",
}

local refused = begin()
if refused then return refused end
if not begin_verification() or not grouped(1, 1) then
  return bad_arguments("verify_keys takes 0 or 1, and keys")
end

local function leftover(name, why)
  found("leftover", name, why, fix)
  if fix then call("DEL", P .. name) end
end

local look = {
  r = function(name, id)
    if not task(id).r.large then leftover(name, "no task that has ended has stored it") end
  end,
  x = function(name, id) if not task(id).r.xcom then leftover(name, "no finished task has stored it") end end,
  p = function(name, id) if not task(id).r.state then leftover(name, "its task is not known") end end,
  w = function(name, id)
    local t = task(id)
    local state = t.r.state
    if not state then return leftover(name, "there is nothing left to report") end
    if TERMINAL[state] and notification_pending("L" .. id) or t.r.watch and not TERMINAL[state] then return end
    local but = TERMINAL[state] and "was not" or "would not be"
    found("listener", id, "a listener of its ending " .. but .. " notified", fix)
    if fix and TERMINAL[state] then return announce(t, outcome_of(t)) end
    t.r.watch = true
    if fix then will_write(t) end
  end,
  d = function(_, id)
    local t = task(id)
    local state = t.r.state
    if state and not t.r.kids then
      found("dependents", id, "others depend on it, and its record does not say so", fix)
      t.r.kids = true
      if fix then
        if TERMINAL[state] and not t.r.keep then hold(t) end
        will_write(t)
      end
    end
    if state and not (TERMINAL[state] and dependents_pending(t)) then return end
    local entry = (state == "FINISHED" and "F" or "X") .. id
    if notification_pending(entry) then return end
    found("dependents", id, "it has ended, and its dependents would never be notified", fix)
    if fix then await_notice(entry) end
  end,
  dedup = function(name, hash)
    if call("PTTL", P .. name) ~= -1 then return end
    local r = task(call("GET", P .. name)).r
    if not r.state or TERMINAL[r.state] or r.dedup ~= hash then leftover(name, "no waiting or running task has it") end
  end,
  claim = function(name) if call("PTTL", P .. name) == -1 then leftover(name, "it has no end") end end,
  sweeping = function(name) if call("PTTL", P .. name) == -1 then leftover(name, "it has no end") end end,
  wake = function(name)
    if call("LLEN", P .. name) < 2 then return end
    found("counter", name, "there is more than one wake-up", fix)
    if fix then call("LTRIM", P .. name, 0, 0) end
  end,
  cfg = look_at_limits,
}

local next_at, kept_at = g.next_at, g.kept_at
for first = 2, #ARGV do
  local name = ARGV[first]
  local kind, id = string.match(name, "^([a-z]+):?(.*)$")
  local wanted, is = TYPES[kind], call("TYPE", P .. name).ok
  if wanted and is == wanted then
    if look[kind] then look[kind](name, id) end
  elseif wanted and is ~= "none" then
    local movable = name ~= "meta"
    found("type", name, "it is a " .. is .. " and should be a " .. wanted, fix and movable)
    if fix and movable then set_aside(P .. name) end
  elseif kind == "cfg" then
    look_at_limits(name, id)
  end
end
write_tasks()
send_batches()
save_counts()
if g.next_at < next_at or g.kept_at < kept_at then save_globals() end
return all_found()
