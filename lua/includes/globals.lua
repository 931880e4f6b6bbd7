-- globals: the scheduler record, read once in a script and written once at its end.
--   V     virtual time in microseconds of service per weight: the start tag of the last service from the ready ring
--   aseq  sequence of arrivals in the fresh ring     est0  average cost of a task in microseconds, for unknown users
--   bs    pops in a row that skipped the ready ring     pop_at  when a worker last called pop, in milliseconds
--   cg    pops in a row on CRITICAL credit that skipped a fresh user
--   shift, seen  see clock.lua
-- It is read by begin_reading.
local g

local function load_globals()
  if scheduler.err then scheduler = call("HMGET", P .. "g", "shift") end -- sets aside a key of the wrong type
  local field = scheduler
  g = {
    V = between(field[3], 0, TOP / 2) or 0, aseq = whole(field[4]) or 0, bs = whole(field[5]) or 0,
    cg = whole(field[6]) or 0, est0 = between(field[7], 1, TOP) or 1000, pop_at = whole(field[8]) or 0,
  }
end

local function save_globals()
  call("HSET", P .. "g", "V", string.format("%.17g", g.V), "aseq", int(g.aseq), "bs", g.bs, "cg", g.cg,
    "est0", string.format("%.17g", g.est0), "pop_at", int(g.pop_at), "seen", int(now))
end
