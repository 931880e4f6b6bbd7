-- attempts: starts the attempt of a task, and ends one.
--- @include "access"
--- @include "formats"
--- @include "begin"
--- @include "writes"
--- @include "task_record"
--- @include "tasks"
--- @include "user_record"
--- @include "queues"
--- @include "users"
--- @include "sync"
--- @include "enter"
--- @include "endings"

local MIN_CHARGE = 1000 -- microseconds charged for the shortest task

-- What a task costs its user, its run time or one each: this is charged when it starts, and the difference to its real
-- run time when it ends.
local function estimate(u, cost, lease_ms)
  if counted then return 1 end
  local longest = lease_ms * 1000 / 3
  -- Whole, so that the charge can be reversed exactly.
  return math.floor(math.max(MIN_CHARGE, math.min(longest, cost or u.r.ewma or g.est0)))
end

-- `ran` is in microseconds, or nil if the lease expired: then the charge so far is kept.
local function settle_cost(u, t, ran)
  local r, charged = u.r, t.r.charged
  if counted or not ran then
    r.served = math.min(TOP - 1, r.served + charged)
    return
  end
  local spent = math.max(MIN_CHARGE, math.min(ran, now - started_at(t)))
  r.S, r.served = r.S + (spent - charged) / u.w, math.min(TOP - 1, r.served + spent)
  r.ewma = math.floor((r.ewma or spent) + (spent - (r.ewma or spent)) / 8)
  g.est0 = g.est0 + (spent - g.est0) / 8
end

local SKIPPED = 100 -- tombstones that are removed in one turn

-- The first task in the list, without removing it; nil if there is none, or after too many tombstones.
local function first_listed(u)
  local r, key = u.r, P .. "n:" .. u.id
  for _ = 1, SKIPPED do
    local id = call("LINDEX", key, 0)
    if not id or not is_tombstone(id) then return id end
    call("LPOP", key)
    r.tombstones = (r.tombstones or 0) > 1 and r.tombstones - 1 or nil
  end
end

-- Removes the next task that is not CRITICAL, and returns it with its place.
local function take_normal(u)
  local id, other = first_listed(u), u.r.sorted and call("ZRANGE", P .. "z:" .. u.id, 0, 0, "WITHSCORES") or {}
  if not other[1] then u.r.sorted = nil end
  local pushed_at = id and task(id).r.pushed_at
  local place = pushed_at and pushed_at - BOOST[NORMAL]
  if other[1] and (not id or place and comes_after(place, id, tonumber(other[2]), other[1])) then
    call("ZREM", P .. "z:" .. u.id, other[1])
    if call("EXISTS", P .. "z:" .. u.id) == 0 then u.r.sorted = nil end
    return other[1], other[2]
  end
  if id then call("LPOP", P .. "n:" .. u.id) end
  return id, place
end

-- Removes the next task of a user from its queue; nil if its record is broken. The next one is the one with the lower
-- place of the first in the user's list and the first of its other tasks.
local function take(u, dead_ttl_ms)
  count_waiting(u)
  local id, place
  if critical_next(u) then
    id, place = unpack(call("ZPOPMIN", P .. "c:" .. u.id))
    u.pc, u.r.cs = math.max(0, u.pc - 1), (u.r.cs or 0) + 1
  else
    id, place = take_normal(u)
    u.pn, u.r.cs = math.max(0, u.pn - 1), nil
  end
  if not id then
    recount(u)
    return nil
  end
  count("queued", -1)
  local t = task(id)
  t.r.score = between(place, -TOP, TOP) or now
  if t.r.state == "QUEUED" then return t end
  if not t.r.state then bury(t, u.id, "the queue of user " .. u.id, dead_ttl_ms) end
end

-- Starts one task of a user: charges an estimate in advance and grants the lease.
-- The fence is the start time, so it keeps growing after a failover that rolled the record back. The first attempts of
-- all tasks of a pop have the same fence.
local first_token

local function new_token(t, claim)
  local fence = t.r.token and started_at(t) + 1 or now
  if fence > now then return int(fence) .. ":" .. claim end
  first_token = first_token or int(now) .. ":" .. claim
  return first_token
end

local function grant(u, t, claim, worker, lease_ms, lease_end)
  local of_user, r = u.r, t.r
  local charge = estimate(u, r.cost, lease_ms)
  if of_user.lane == "F" then
    -- Time spent among many new users earns nothing either, or it would all be made up for at once.
    of_user.lane, of_user.S, moved = "R", math.max(of_user.S, g.V), moved - 1
  end
  take_turn(u)
  of_user.S, of_user.inf = of_user.S + charge / u.w, of_user.inf + 1
  if u.rate then spend_start(u) end
  r.state, r.token, r.charged = "STARTED", new_token(t, claim), charge
  r.attempt, r.worker = (r.attempt or 0) + 1, worker
  will_write(t)
  add_to("running", lease_end, t.id)
end

-- Adds a task to the answer of pop, in three places: id, body, and its attempt, empty if it is the first one
-- and began now. Returns the bytes of the body, which has no message if that is too long or cannot be read.
local function describe(reply, t)
  local text, start = body_of(t.id)
  local body = text and #text - start < MOST_MESSAGE and text or pack_head(BODY, t.r)
  local r, fence, size = t.r, started_at(t), #reply
  local first = fence == now and r.attempt == 1 and not r.fails and not r.solo
  reply[size + 1], reply[size + 2] = t.id, body
  reply[size + 3] = first and "" or struct.pack(AGAIN, fence, r.attempt, r.fails or 0, r.solo and 1 or 0)
  return #body
end

-- The only transition out of STARTED, for finish, fail, release and lease expiry. It settles the task's
-- cost.
-- `ran` in microseconds by the worker's monotonic clock, or nil if the lease expired.
local function leave_running(t, ran)
  take_from("running", t.id)
  local u = user(t.r.user)
  settle_cost(u, t, ran)
  u.r.inf = math.max(0, u.r.inf - 1)
  return u
end

-- Returns a running task to its previous place, or cancels it if a cancelation was requested.
local function put_back(t, u, result_ttl_ms)
  if t.r.cancel then return conclude(t, "CANCELED", '"canceled while it ran"', result_ttl_ms) end
  t.r.state = "QUEUED"
  will_write(t)
  enter_at(u, t.id, t.r.prio or NORMAL, t.r.score)
  return "QUEUED"
end
