-- store: stores a new task, whose eleven arguments from push.lua begin at `entry.first`, and puts it into the index of
-- its state. Its owner and priority may be those of a parent.
--- @include "cancel_with"
--- @include "hold_dedup"
--- @include "bind"

local function store(entry, result_ttl_ms)
  local first, parents, state, owner = entry.first, entry.parents, entry.state, entry.owner
  local id, priority = ARGV[first], entry.priority
  local t = task(id)
  local root_at = (state == "DEFERRED" or parents.root_at < now) and parents.root_at or nil
  t.r = {
    state = state, user = owner, digest = ARGV[first + 8],
    pushed_at = state == "QUEUED" and not root_at and arrival() or now,
    prio = priority ~= NORMAL and priority or nil, heir = ARGV[first + 1] == "" or ARGV[first + 2] == "0" or nil,
    timeout = number_at(first + 4), cost = number_at(first + 5),
    root_at = root_at, instead = parents.instead,
  }
  if state == "CANCELED" then
    cancel_with(t, parents.failed, result_ttl_ms)
  else
    store_key(P .. "t:" .. id, pack_head(BODY, t.r) .. ARGV[first + 10])
    hold_dedup(t, ARGV[first + 6], number_at(first + 7))
  end
  if state == "DEFERRED" then
    defer(t, parents.open, entry.due_ms, entry.at)
  elseif state == "SCHEDULED" then
    t.r.at = entry.at
    delay(id, owner, entry.due_ms)
  elseif state == "QUEUED" then
    local u = user(owner)
    if priority == NORMAL and not root_at then
      append(u, id)
    else
      enter(u, id, priority, root_at or t.r.pushed_at)
    end
  end
  -- Of most tasks the body says everything.
  local r = t.r
  if state ~= "QUEUED" or r.heir or r.root_at or r.instead or r.dedup or attempted[id] then will_write(t) end
  bind(t, parents)
  count("pushed", 1)
end
