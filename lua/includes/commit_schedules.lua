-- commit_schedules: the end of a script that changed schedules: writes them, and tells the leader.

-- A revision that no schedule of the queue had before: one that was removed and added again is another one.
local function change(s)
  local number = whole(redis.pcall("HINCRBY", P .. "counts", "changes", 1))
  if not number then -- its counter was spoiled: the time is above all numbers that it can have given
    number = now_ms
    call("HSET", P .. "counts", "changes", int(number))
  end
  s.r.rev = number
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
