-- user: the record of one user, read once in a script, changed in place, written once by commit.
--   S     the user's tag: microseconds of charged service per weight     inf  tasks running     w  weight
--   lane  'F' in the fresh ring, 'R' in the ready ring, 'P' parked (work, but capped or paused), '' without work
--   cs    CRITICAL tasks in a row     ewma  average cost of its tasks in microseconds     clk  last time of entry
--   pn, pc  tasks in its queue and in its CRITICAL lane (counted by the server, not stored)
local users, touched = {}, {}

local function user(id)
  local u = users[id]
  if u then return u end
  local key = P .. "u:" .. id
  local field = call("HMGET", key, "S", "inf", "lane", "cs", "ewma", "clk")
  u = {
    id = id, key = key, n = P .. "n:" .. id, c = P .. "c:" .. id, w = 1,
    S = tonumber(field[1]) or -math.huge, inf = tonumber(field[2]) or 0, lane = field[3] or "",
    cs = tonumber(field[4]) or 0, ewma = tonumber(field[5]), clk = tonumber(field[6]) or 0,
    add_n = {}, add_c = {},
  }
  u.pn, u.pc = call("ZCARD", u.n), call("ZCARD", u.c)
  u.borrows = u.pc > 0 -- whether it may stand in the critical ring
  users[id] = u
  touched[#touched + 1] = u
  return u
end

-- Writes the record, or deletes it: it lives while the user has work or debt, so idle users leave nothing behind.
local function save_user(u)
  if u.pn + u.pc == 0 and u.inf == 0 and u.S <= g.V then
    call("DEL", u.key)
  else
    call("HSET", u.key, "S", string.format("%.17g", u.S), "inf", u.inf, "lane", u.lane, "cs", u.cs, "clk", int(u.clk))
    if u.ewma then call("HSET", u.key, "ewma", string.format("%.17g", u.ewma)) end
  end
end
