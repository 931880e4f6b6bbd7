-- store: keeps a new task, whose eleven arguments begin at `entry.first` as push.lua lists them, and puts it where it
-- belongs by its state and its parents.
--- @include "parents"
--- @include "cancel_with"
--- @include "hold_dedup"
local TIMEOUT = "3600000" -- milliseconds; the default of task.py, which a record leaves out

local function store(entry, result_ttl_ms)
  local first, parents, state = entry.first, entry.parents, entry.state
  local id, owner, priority = ARGV[first], ARGV[first + 1], number_at(first + 2)
  local t = task(id)
  t.r = {
    state = state, user = owner, digest = ARGV[first + 8], pushed_at = now_ms,
    prio = priority ~= NORMAL and priority or nil,
    timeout = ARGV[first + 4] ~= TIMEOUT and number_at(first + 4) or nil, cost = number_at(first + 5),
    root_at = (state == "DEFERRED" or parents.root_at < now) and parents.root_at or nil,
  }
  will_write(t)
  if state == "CANCELED" then
    cancel_with(t, parents.failed, result_ttl_ms)
  else
    store_key(P .. "m:" .. id, ARGV[first + 10])
    hold_dedup(t, ARGV[first + 6], number_at(first + 7))
  end
  if state == "DEFERRED" then
    t.r.open, t.r.due = parents.open, entry.due_ms
    defer(t, parents)
  elseif state == "SCHEDULED" then
    delay(id, owner, entry.due_ms)
  elseif state == "QUEUED" then
    local u = user(owner)
    enter(u, id, priority, t.r.root_at or arrival(u))
  end
  count("pushed", 1)
end
