-- store: stores a new task, given what task_at has read, and puts it into the index of its state. Its owner and
-- priority may be those of a parent.
--- @include "cancel_with"
--- @include "hold_dedup"
--- @include "bind"

local function store(entry, result_ttl_ms)
  local given, parents, state, owner = entry.given, entry.parents, entry.state, entry.owner
  local id, priority = given.id, entry.priority
  local t = task(id)
  local root_at = (state == "DEFERRED" or parents.root_at < now) and parents.root_at or nil
  t.r = {
    state = state, user = owner, digest = given.digest,
    pushed_at = state == "QUEUED" and not root_at and arrival() or now,
    prio = priority ~= NORMAL and priority or nil, timeout = given.timeout,
    cost = given.cost ~= -1 and given.cost or nil, root_at = root_at, instead = parents.instead,
  }
  if state == "CANCELED" then
    cancel_with(t, parents.failed, result_ttl_ms)
  else
    local body = given.heir and pack_head(BODY, t.r) .. string.sub(given.content, given.start)
      or struct.pack("<Bd", BODY, t.r.pushed_at) .. given.content
    store_key(P .. "t:" .. id, body)
    hold_dedup(t, given.dedup, given.dedup_ttl_ms)
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
  if state ~= "QUEUED" or r.root_at or r.instead or r.dedup or attempted[id] then will_write(t) end
  bind(t, parents)
  count("pushed", 1)
end
