-- commit: the end of a script that moved tasks: writes rings, records and counters once each, and wakes a worker.
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
