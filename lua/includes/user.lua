-- user: the record of one user, read once in a script, changed in place, written once by save_user.
--   S     the user's tag: microseconds of charged service per weight     inf  tasks running     w  weight
--   lane  'F' fresh ring, 'R' ready ring, 'P' parked (work, but capped, paused or limited), '' without work
--   borrows  '1' critical ring     cs  CRITICAL tasks in a row     clk  last time of entry     tat  see limits.lua
--   ewma  average cost of its tasks in microseconds     served  what its tasks have cost since the record was made
--   pn, pc  tasks in its queue and in its CRITICAL lane: counted by the server, and only where somebody asks
local users, touched = {}, {}
--- @include "limits"
--- @include "rings"

-- One constructor for all fields: a table that grows field by field is made anew several times.
local function user(id)
  local u = users[id]
  if u then return u end
  local key = P .. "u:" .. id
  local field = call("HMGET", key, "S", "inf", "lane", "served", "ewma", "borrows", "cs", "clk", "tat")
  local S, lane, borrows = tonumber(field[1]) or -math.huge, field[3] or "", field[6] or ""
  local served, cs = tonumber(field[4]) or 0, tonumber(field[7]) or 0
  local clk, tat = tonumber(field[8]) or 0, tonumber(field[9]) or 0
  u = {
    id = id, key = key, n = P .. "n:" .. id, c = P .. "c:" .. id, known = field[1], S = S,
    inf = tonumber(field[2]) or 0, lane = lane, served = served, ewma = tonumber(field[5]), borrows = borrows, cs = cs,
    clk = clk, tat = tat, pn = false, pc = 0, w = 1, synced = false, gained = false,
    at = lane, at_S = S, at_limit = false, owed = false, written = false, text = false,
    was_lane = lane, was_borrows = borrows, was_cs = cs, was_clk = clk, was_tat = tat, was_served = served,
  }
  if limited then read_limits(u) end
  stands(u)
  users[id] = u
  touched[#touched + 1] = u
  return u
end

local function count_waiting(u)
  if u.pn then return end
  if u.lane == "" then u.pn, u.pc = 0, 0 else u.pn, u.pc = call("ZCARD", u.n), call("ZCARD", u.c) end
end
