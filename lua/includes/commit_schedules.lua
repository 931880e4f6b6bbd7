-- commit_schedules: the end of a script that changed schedules: writes them, and tells the leader.

-- A revision that no schedule of the queue had before: one that was removed and added again is another one.
local function change(s)
  s.r.rev = call("HINCRBY", P .. "counts", "changes", 1)
  will_write(s)
  return s.r.rev
end

local function commit_schedules()
  place_schedules()
  write_records()
  send_batches()
  save_counts()
  call("PUBLISH", P .. "changed", "schedules")
end
