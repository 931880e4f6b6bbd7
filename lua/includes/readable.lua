-- readable: decodes the record of a task, user or schedule. Raises an error if it is not a record, or has fields that
-- no script can use. Comparing a value that is not a number also raises one, and NaN is in no range.
local STATES = {SCHEDULED = true, DEFERRED = true, QUEUED = true, STARTED = true, FINISHED = true, FAILED = true,
  CANCELED = true}
local LANES = {F = true, R = true, P = true, [""] = true}

local function sane(number) return number >= 0 and number < TOP end

--- @include "readable_task"
--- @include "readable_user"
--- @include "readable_schedule"

local function readable(text)
  local r = cmsgpack.unpack(text)
  local fits = STATES[r.state] and readable_task or LANES[r.lane] and readable_user or r.rev and readable_schedule
  return fits and fits(r) and r or error("no record")
end
