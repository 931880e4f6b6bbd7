-- undefer: takes a task out of the index of tasks that wait for their parents.
local function undefer(t)
  take_from("deferred", t.id)
  take_from("s:" .. t.r.user, t.id)
end
