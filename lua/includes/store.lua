-- store: stores new tasks, unless there are too many waiting.
--- @include "access"
--- @include "formats"
--- @include "begin"
--- @include "writes"
--- @include "task_record"
--- @include "tasks"
--- @include "user_record"
--- @include "queues"
--- @include "users"
--- @include "enter"
--- @include "endings"
--- @include "dependencies"

-- Stores a new task, given what task_at has read, and puts it into the index of its state. Its owner and
-- priority may be those of a parent.
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

-- After which delay to retry: about the time that the workers need for the excess.
local function pause_ms(excess)
  local each_us = counted and 1000000 or g.est0
  return int(math.max(1000, math.min(60000, excess * each_us / 1000 / math.max(1, running_tasks()))))
end

-- The answer that refuses `number` more waiting tasks because of the queue's backlog.
local function queue_is_full(number)
  local most = backlog or 0
  if most == 0 then return nil end
  local waiting = g.queued + call("ZCARD", P .. "delayed") + call("ZCARD", P .. "deferred")
  local excess = waiting + number - most
  if excess > 0 then return {-7, "", int(most), int(waiting), pause_ms(excess)} end
end

-- The answer that refuses `number` more waiting tasks because of the user's backlog.
local function user_is_full(id, number)
  local most = limited and backlog_of(id)
  if not most then return nil end
  local queued, critical = waiting_of(id, user_record(id))
  local waiting = queued + critical + call("ZCARD", P .. "s:" .. id)
  local excess = waiting + number - most
  if excess > 0 then return {-7, id, int(most), waiting, pause_ms(excess)} end
end

-- Refuses a push that would exceed the backlog of its user or queue. `fresh` are the new tasks.
local function over_backlog(fresh)
  local full, more = queue_is_full(#fresh), {}
  if full or not limited then return full end
  for _, entry in ipairs(fresh) do more[entry.owner] = (more[entry.owner] or 0) + 1 end
  for id, number in pairs(more) do full = full or user_is_full(id, number) end
  return full
end
