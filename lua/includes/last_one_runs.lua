-- last_one_runs: whether the task of the previous run of a schedule has not ended.
--- @include "terminal"
local function last_one_runs(s)
  local last = s.r.last and task(format("schedule:%s:%s", s.id, int(s.r.last))).r.state
  return last and not TERMINAL[last]
end
