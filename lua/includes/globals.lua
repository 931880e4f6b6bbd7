-- globals: the scheduler record: one string that every script reads at its start, and that a script which changes tasks
-- writes once at its end.
--   V     virtual time in microseconds of service per weight: the start tag of the last service from the ready ring
--   aseq  sequence of arrivals in the fresh ring     est0  average cost of a task in microseconds, for unknown users
--   bs    pops in a row that skipped the ready ring     pop_at  when a worker last called pop, in milliseconds
--   cg    pops in a row on CRITICAL credit that skipped a fresh user
--   queued  tasks in queues now     pushed, finished  since the queue was created     seen, shift  see clock.lua
--   clk   the last time of entry that a task got, in microseconds: each is later than the one before
--   critical  whether the critical ring may have members     fresh_n  members of the fresh ring
--   next_at, owe_min, kept_at  see bounds.lua
--- @include "globals_format"
local g, unreadable_globals

-- A value that no script can have written counts as that of a new queue. `answer` is that of GET; an error is one of a
-- key of the wrong type.
local function parse_globals(answer)
  local text = type(answer) == "string" and answer or ""
  local sound = #text >= GLOBALS_SIZE and string.byte(text) == GLOBALS_VERSION
  unreadable_globals = answer and not sound and answer
  if not sound then
    g = {
      bs = 0, cg = 0, V = 0, aseq = 0, est0 = 1000, pop_at = 0, queued = 0, pushed = 0, finished = 0, seen = 0,
      shift = 0, clk = 0, next_at = 0, owe_min = -TOP, fresh_n = 0, kept_at = 0, critical = true, tail = "",
    }
    return
  end
  local _, flags, bs, cg, V, aseq, est0, pop_at, queued, pushed, finished, seen, shift, clk, next_at, owe_min, fresh_n,
    kept_at = struct.unpack(GLOBALS, text)
  g = {
    bs = bs, cg = cg, V = between(V, 0, TOP / 2) or 0, aseq = whole(aseq) or 0, est0 = between(est0, 1, TOP) or 1000,
    pop_at = whole(pop_at) or 0, queued = whole(queued) or 0, pushed = whole(pushed) or 0,
    finished = whole(finished) or 0, seen = whole(seen) or 0, shift = clock_shift(shift) or 0,
    clk = between(whole(clk), 0, TOP / 2) or 0, next_at = between(next_at, 0, TOP) or 0,
    owe_min = between(owe_min, -TOP, TOP) or -TOP, fresh_n = whole(fresh_n) or 0,
    kept_at = between(kept_at, 0, TOP) or 0, critical = flags % 16 >= 8,
    tail = string.sub(text, GLOBALS_SIZE + 1), -- what a later release has appended
  }
end
