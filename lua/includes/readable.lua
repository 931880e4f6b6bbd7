-- readable: decodes the record of a task or schedule. Raises an error if it is not a record, or has fields that
-- no script can use. Comparing a value that is not a number also raises one, and NaN is in no range.
local STATES = {SCHEDULED = true, DEFERRED = true, QUEUED = true, STARTED = true, FINISHED = true, FAILED = true,
  CANCELED = true}

--- @include "readable_task"
--- @include "readable_schedule"

local function readable(text)
  local r = cmsgpack.unpack(text)
  local fits = STATES[r.state] and readable_task or r.rev and readable_schedule
  return fits and fits(r) and r or error("no record")
end
