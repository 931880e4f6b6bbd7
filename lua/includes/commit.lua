-- commit: the end of a script that moved tasks: writes rings, records and counters once each, and wakes a worker.
--- @include "task"
--- @include "save_users"
--- @include "bounds"

local function save()
  settle()
  save_users()
  write_tasks()
  send_batches()
  renew_bounds()
  save_globals()
  save_counts()
end

local function commit()
  save()
  if entered then wake() end
end
