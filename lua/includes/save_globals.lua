-- save_globals: writes the scheduler record, with the time of this call.
local function save_globals()
  if unreadable_globals then set_aside(P .. "g") end
  g.seen, g.shift = now, shift_ms
  call("SET", P .. "g", struct.pack(GLOBALS, GLOBALS_VERSION, g.bs, g.cg, g.V, g.aseq, g.est0, g.pop_at, g.queued,
    g.pushed, g.finished, g.seen, g.shift, g.clk) .. g.tail)
end
