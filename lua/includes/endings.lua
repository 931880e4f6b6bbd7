-- endings: the answers of finish, fail and release, which end many attempts in one call. `ending(t, first)` ends the
-- attempt of a task that the caller holds, with the arguments from `first` on, and returns the task's new state.
--- @include "holds"
--- @include "read_ahead"
local function endings(head, stride, ending)
  read_ahead(head, stride)
  local reply, size = {1}, 1
  for first = head + 1, #ARGV, stride do
    local t = task(ARGV[first])
    local code = holds(t, ARGV[first + 1])
    reply[size + 1], reply[size + 2] = code, code == 1 and ending(t, first) or t.r.state or ""
    size = size + 2
  end
  return reply
end

-- Returns what is wrong with the run times, the third argument of each task, or nil.
local function bad_times(head, stride)
  for first = head + 1, #ARGV, stride do
    if not number_at(first + 2) then return bad_arguments("the time of task " .. ARGV[first] .. " is not a number") end
  end
end
