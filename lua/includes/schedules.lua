-- schedules: advances schedules.
--- @include "access"
--- @include "begin"
--- @include "arguments"
--- @include "writes"
--- @include "schedule_record"

-- The end of a script that changed schedules: writes them, and notifies the leader.
-- A revision that no schedule of the queue had before: a schedule that was removed and added again is a different one.
local function change(s)
  local number = whole(redis.pcall("HINCRBY", P .. "counts", "changes", 1))
  if not number then -- the counter is corrupt: the time is above all numbers that it gave before
    number = now_ms
    call("HSET", P .. "counts", "changes", int(number))
  end
  s.r.rev = number
  will_write_schedule(s)
  return s.r.rev
end

local function commit_schedules()
  place_schedules()
  write_schedules()
  send_batches()
  save_counts()
  call("PUBLISH", P .. "changed", "schedules")
end

-- Records runs of a schedule that enqueued no task, and why. The last ones are kept, a line each, the newest
-- first: first time, last time, number, reason. Runs with none fired in between share a line.
local MISSES = 20

local function miss(s, first, last, number, why)
  local r, lines = s.r, {}
  for line in string.gmatch(r.misses or "", "[^\n]+") do lines[#lines + 1] = line end
  local since, to, before, reason = string.match(lines[1] or "", "^(%d+) (%d+) (%d+) (%a+)$")
  local total = number
  if reason == why and (r.last or 0) < tonumber(to) then
    table.remove(lines, 1)
    first, total = tonumber(since), number + tonumber(before)
  end
  table.insert(lines, 1, format("%s %s %s %s", int(first), int(last), int(total), why))
  r.misses = table.concat(lines, "\n", 1, math.min(#lines, MISSES))
  local name = why == "overlap" and "skipped" or "missed"
  r[name] = (r[name] or 0) + number
  count(name, number)
end

-- Ends one run of a schedule: records its outcome, and moves the schedule to the next run.
-- A schedule without further runs is kept for a while, so that users can see it.
local function forget(s)
  drop_key(s.key)
  take_from("schedules", s.id)
  s.r, s.changed = {}, true
end

-- `move` has the arguments of fire.lua, `code` is the code of the answer.
local function move_on(s, move, code, keep_ms, term)
  local r, fire_ms = s.r, move.fire_ms
  if not r.next and not move.following and r.forget and r.forget <= wall_ms and not s.changed then return forget(s) end
  if move.missed > 0 then miss(s, r.next, move.missed_last, move.missed, "late") end
  if code == 6 then
    miss(s, fire_ms, fire_ms, 1, "overlap")
  elseif fire_ms then
    r.last = fire_ms
  end
  if fire_ms and code == 1 then
    r.fired = (r.fired or 0) + 1
    count("fired", 1)
  end
  -- A caller that lost the answer can see here what it did.
  if move.at then r.did = format("%d %d %d %d %d", term, move.revision, move.at, code, wall_ms) end
  r.next = move.following
  r.forget = not move.following and (r.forget or wall_ms + keep_ms) or nil
  will_write_schedule(s)
end

-- Gives a schedule other times, or none, from now on. Runs that are due and not fired count as missed: as many
-- as the caller counted, if it saw the current schedule; else one, because the times are opaque here.
-- The overdue runs in the arguments from `index` on: number, first, last; nil if malformed.
local function overdue_at(index)
  local o = {number = number_at(index), first = number_at(index + 1), last = number_at(index + 2)}
  if o.number and o.first and o.last and o.first <= o.last then return o end
end

local function retime(s, next_ms, why, overdue)
  local r = s.r
  local seen = overdue.number > 0 and overdue.last <= wall_ms and not r.forget
    and (r.next == overdue.first or (not r.next and r.from and r.from < overdue.first))
  if r.on and seen then
    miss(s, overdue.first, overdue.last, overdue.number, why)
  elseif r.on and r.next and r.next <= wall_ms then
    miss(s, r.next, r.next, 1, why)
  end
  r.next, r.from, r.forget = next_ms, wall_ms, nil
end
