-- enter: puts tasks into their queues and takes them out; commit writes all changes.
--- @include "access"
--- @include "begin"
--- @include "writes"
--- @include "bounds"
--- @include "tasks"
--- @include "user_record"
--- @include "rings"
--- @include "queues"
--- @include "users"
--- @include "sync"

-- A strictly increasing time of entry keeps the order of a batch, whatever its ids.
local function arrival()
  g.clk = math.max(now, g.clk + 1)
  return g.clk
end

local function gain(u, critical)
  count_waiting(u)
  if critical then u.pc = u.pc + 1 else u.pn = u.pn + 1 end
  u.gained = true
  count("queued", 1)
end

-- A NORMAL task that is runnable when it is pushed, at its time of entry, comes after all others in the list.
local function append(u, id)
  gain(u, false)
  append_to("n:" .. u.id, id)
end

-- `score` returns a task to its previous place.
local function enter_at(u, id, priority, score)
  local critical = priority == CRITICAL
  gain(u, critical)
  add_to((critical and "c:" or "z:") .. u.id, score, id)
  if not critical then u.r.sorted = true end
end

-- `base` is its time of entry in microseconds: now, when it was due, or the entry of its pipeline.
local function enter(u, id, priority, base)
  enter_at(u, id, priority, priority == CRITICAL and base or base - BOOST[priority])
end

-- Users that wait for their rate, until their next start; and users without work, until their bucket is full
-- again: deleting the record earlier would refill it at once.
local function place_timer(u)
  local at = u.r.tat
  if not at then
    if u.unlimited then take_from("timers", u.id) end
    return
  end
  if waits(u) then at = u.rate and not u.paused and next_start(u) or 0 end
  if at > now then
    add_to("timers", at, u.id)
    if at < first_score("timers") then note_work() end
  else
    take_from("timers", u.id)
  end
end

-- Takes at most `most` users whose timer has expired, for settle to place. Returns their number.
local function due_timers(most)
  local due = call("ZRANGEBYSCORE", P .. "timers", "-inf", int(now), "LIMIT", 0, most)
  for _, id in ipairs(due) do
    take_from("timers", id)
    user(id)
  end
  return #due
end

-- Writes the places, rings and timers of all touched users. A user that is changed after this must be
-- synced again by the code that changes it.
local function settle()
  for _, u in ipairs(touched) do
    if not u.synced then sync(u) end
  end
  for _, u in ipairs(touched) do
    place(u)
    place_timer(u)
  end
end

-- Stores tasks until their due time in milliseconds. An idle worker is woken if it is before all others.
-- A task with a fixed moment, `at` in its record, waits for it on the server's clock.
local soonest

local function delay(id, user_id, due_ms)
  soonest = soonest or first_score("delayed")
  if due_ms < soonest then
    soonest = due_ms
    note_work()
  end
  add_to("delayed", due_ms, id)
  add_to("s:" .. user_id, due_ms, id)
end

local function undelay(id, user_id)
  take_from("delayed", id)
  take_from("s:" .. user_id, id)
end

-- Takes a task out of the index of tasks that wait for their parents.
local function undefer(t)
  take_from("deferred", t.id)
  take_from("s:" .. t.r.user, t.id)
end

-- The end of a script that moved tasks: writes rings, records and counters once each, and wakes a worker.
local function save()
  settle()
  save_users()
  write_tasks()
  send_batches()
  renew_bounds()
  save_globals()
  save_counts()
end

local function commit()
  save()
  if has_work then wake() end
end
