-- users: the users that a script has read, and their waiting tasks; their records are written once, at its end.
--- @include "access"
--- @include "begin"
--- @include "writes"
--- @include "user_record"
--- @include "rings"
--- @include "queues"

-- Whether a user has waiting tasks. A user without any has the lane '', so they rarely have to be counted.
local function waits(u)
  if u.pn then return u.pn + u.pc > 0 end
  return u.r.lane ~= ""
end

local CRITICAL_RUN = 4 -- C_u: CRITICAL tasks of one user in a row while it has other work

-- Counts the tasks in a user's queue and CRITICAL lane.
local function recount(u)
  local r = u.r
  for _, index in ipairs({"z:" .. u.id, "c:" .. u.id}) do send_index(index) end
  local sorted, listed = call("ZCARD", P .. "z:" .. u.id), call("LLEN", P .. "n:" .. u.id)
  u.pn, u.pc = math.max(0, listed - (r.tombstones or 0)) + sorted, call("ZCARD", P .. "c:" .. u.id)
  r.sorted = sorted > 0 or nil
end

local function count_waiting(u)
  local r = u.r
  if u.pn then return end
  u.pn = 0
  if r.lane ~= "" then u.pn = math.max(0, call("LLEN", P .. "n:" .. u.id) - (r.tombstones or 0)) end
  if r.sorted then u.pn = u.pn + call("ZCARD", P .. "z:" .. u.id) end
  -- A runnable user with CRITICAL tasks borrows, or has just had its maximum of them in a row.
  local none = r.lane == "" or (r.lane ~= "P" and not r.borrows and (r.cs or 0) < CRITICAL_RUN)
  u.pc = none and 0 or call("ZCARD", P .. "c:" .. u.id)
end

-- Removes an element of the user's list, given its index and its time of entry.
local function unlist(u, id, index, time)
  local key = P .. "n:" .. u.id
  if index < NEAR then
    call("LREM", key, 1, id)
  elseif call("LLEN", key) - index <= NEAR then
    call("LREM", key, -1, id)
  else
    call("LSET", key, index, "\n" .. int(time))
    u.r.tombstones = (u.r.tombstones or 0) + 1
  end
end

local function leave_queue(u, t)
  if call("ZREM", P .. "z:" .. u.id, t.id) + call("ZREM", P .. "c:" .. u.id, t.id) > 0 then
    count("queued", -1)
  else
    local index = index_of(P .. "n:" .. u.id, t.id, t.r.pushed_at)
    if index then
      unlist(u, t.id, index, t.r.pushed_at)
      count("queued", -1)
    end
  end
  recount(u)
end

-- Nothing but tombstones is left of the list of a user. If there is more, their number was wrong.
local function drop_tombstones(u)
  local key = P .. "n:" .. u.id
  local first = call("LINDEX", key, 0)
  u.r.tombstones = nil
  if first and not is_tombstone(first) then recount(u) else call("DEL", key) end
end

-- Takes a user out of all rings, so that settle puts it where its queue requires. For a user whose record is
-- unreadable or does not match the rings. Its debt is kept; a user without a record begins at virtual time.
local function seat(u)
  for _, ring in ipairs({"ready", "fresh", "critical", "owe", "timers", "users"}) do call("ZREM", P .. ring, u.id) end
  if unreadable_users[u.id] then
    call("SET", P .. "broken:u:" .. u.id, call("HGET", P .. "u", u.id), "PX", ASIDE_MS)
    call("HINCRBY", P .. "counts", "broken", 1)
  end
  call("HDEL", P .. "u", u.id)
  recount(u)
  u.r.S, u.r.lane, u.r.borrows = math.max(u.r.S, g.V), u.pn + u.pc > 0 and "P" or "", nil
  u.anew = true
  u.known, u.at, u.at_S, u.at_limit, u.owed, u.synced = false, "", false, false, false, false
end

-- A user and its record, read once in a script, changed in place, written once by save_users. In the record:
--   S     the user's tag: microseconds of charged service per weight     inf  tasks running
--   lane  'F' fresh ring, 'R' ready ring, 'P' parked (work, but capped, paused or limited), '' without work
--   borrows  in the critical ring     sorted  it has tasks in `z:`     tombstones  see queues
--   limited  it has limits of its own
--   cs  CRITICAL tasks in a row     tat  see user_record
--   leeway, cut  see sync; both are absent in most records
--   ewma  average cost of its tasks in microseconds     served  cost of its tasks since the record was created
-- And beside it: w  weight     pn, pc  tasks in its queue and its CRITICAL lane, counted on demand
--   anew  an operator has just changed its limits
local users, touched = {}, {}

-- One constructor for all fields: a table that grows field by field is reallocated several times.
local function user(id)
  local u = users[id]
  if u then return u end
  local known = user_record(id)
  local r = known or {S = -math.huge, inf = 0, lane = "", served = 0}
  u = {
    id = id, r = r, known = known, pn = false, pc = 0, w = 1,
    synced = false, at = r.lane, at_S = r.S, at_limit = false, owed = false,
    anew = false,
  }
  if limited then read_limits(u) end
  if unreadable_users[id] then seat(u) else stands(u) end
  users[id] = u
  touched[#touched + 1] = u
  return u
end

-- Writes the records of the users that the script has read. A record is kept while its user has work, a
-- debt, or a partly used rate, so that idle users take no memory.
local function save_users()
  local kept, gone = {}, {}
  for _, u in ipairs(touched) do
    local r, size = u.r, #kept
    if r.inf == 0 and r.S <= g.V and (r.tat or 0) <= now and not waits(u) then
      if u.known then
        gone[#gone + 1] = u.id
        take_from("users", u.id)
      end
    else
      if not u.known then
        r.since = r.since or now_ms
        add_to("users", "0", u.id)
      end
      kept[size + 1], kept[size + 2] = u.id, pack_user(r)
    end
  end
  send("HDEL", P .. "u", gone)
  send("HSET", P .. "u", kept)
end
