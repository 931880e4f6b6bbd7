-- commit: the end of a script that moved tasks: rings, records, counters, and the wake-up, each written once.
local function commit()
  settle()
  for _, u in ipairs(touched) do save_user(u) end
  save_globals()
  save_counts()
  if entered then wake() end
end
