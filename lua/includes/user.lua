-- user: a user and its record, read once in a script, changed in place, written once by save_users. In the record:
--   S     the user's tag: microseconds of charged service per weight     inf  tasks running
--   lane  'F' fresh ring, 'R' ready ring, 'P' parked (work, but capped, paused or limited), '' without work
--   borrows  in the critical ring     sorted  it has tasks in `z:`     tombstones  see listed.lua
--   cs  CRITICAL tasks in a row     tat  see limits.lua
--   leeway, cut  see leeway.lua; both are absent in most records
--   ewma  average cost of its tasks in microseconds     served  cost of its tasks since the record was created
-- And beside it: w  weight     pn, pc  tasks in its queue and its CRITICAL lane, counted on demand
--   anew  an operator has just changed its limits
--- @include "batch"
--- @include "user_record"
local CRITICAL_RUN = 4     -- C_u: CRITICAL tasks of one user in a row while it has other work
local users, touched = {}, {}
--- @include "limits"
--- @include "rings"
--- @include "waiting"
--- @include "seat"

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
