-- finish: ends attempts that returned, whose groups of five arguments follow `head` others. Returns the answer of
-- finish; afterwards the caller notifies dependents.
--- @include "endings"
--- @include "conclude"
--- @include "leave_running"
--- @include "trim"
local ENDING = 5 -- id, token, ran_us, result, xcom

local function finish(head, result_ttl_ms)
  local reply = endings(head, ENDING, function(t, first)
    leave_running(t, number_at(first + 2))
    return conclude(t, "FINISHED", ARGV[first + 3], result_ttl_ms, ARGV[first + 4])
  end)
  trim(2 * (#ARGV - head) / ENDING)
  -- Users that come later in the same call begin behind the debts of these.
  for _, u in ipairs(touched) do
    sync(u)
    u.synced = false
  end
  return reply
end
