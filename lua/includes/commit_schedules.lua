-- commit_schedules: the end of a script that changed schedules: writes them, and notifies the leader.

-- A revision that no schedule of the queue had before: a schedule that was removed and added again is a different one.
local function change(s)
  local number = whole(redis.pcall("HINCRBY", P .. "counts", "changes", 1))
  if not number then -- the counter is corrupt: the time is above all numbers that it gave before
    number = now_ms
    call("HSET", P .. "counts", "changes", int(number))
  end
  s.r.rev = number
  will_write_schedule(s)
  return s.r.rev
end

local function commit_schedules()
  place_schedules()
  write_schedules()
  send_batches()
  save_counts()
  call("PUBLISH", P .. "changed", "schedules")
end
