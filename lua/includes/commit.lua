-- commit: the end of a script that moved tasks: writes rings, records and counters once each, and wakes a worker.
--- @include "task"
--- @include "save_users"

local function save()
  settle()
  save_users()
  write_tasks()
  send_batches()
  save_globals()
  save_counts()
end

local function commit()
  save()
  if entered then wake() end
end
