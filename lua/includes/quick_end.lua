-- quick_end: writes the scheduler record at the end of a quick path.
call("SET", P .. "g", struct.pack(GLOBALS, version, queue_flags, bs, cg, V, aseq, est0, pop_at, queued, pushed,
  finished, now, shift, clk, next_at, owe_min, fresh_n, kept_at) .. string.sub(stored, GLOBALS_SIZE + 1))
