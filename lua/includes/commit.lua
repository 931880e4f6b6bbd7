-- commit: the end of a script that moved tasks: rings, records and counters, each written once, and the wake-up.
--- @include "save_user"

local function save()
  settle()
  for _, u in ipairs(touched) do save_user(u) end
  write_records()
  send_batches()
  save_globals()
  save_counts()
end

local function commit()
  save()
  if entered then wake() end
end
