-- save_globals: writes the scheduler record, with the time of this call and the flags that follow from the settings.

-- What quick paths know of the settings. They leave a queue to the rest of the scripts that was not created, that needs
-- something special, or whose users ever had limits.
local function flags()
  local special = limited or needs or not born
  return (tested and 1 or 0) + (counted and 2 or 0) + ((backlog or 0) > 0 and 4 or 0) + (g.critical and 8 or 0)
    + (special and 16 or 0)
end

local function save_globals()
  if unreadable_globals then set_aside(P .. "g") end
  g.seen, g.shift = now, shift_ms
  call("SET", P .. "g", struct.pack(GLOBALS, GLOBALS_VERSION, flags(), g.bs, g.cg, g.V, g.aseq, g.est0, g.pop_at,
    g.queued, g.pushed, g.finished, g.seen, g.shift, g.clk, g.next_at, g.owe_min, g.fresh_n, g.kept_at) .. g.tail)
end
