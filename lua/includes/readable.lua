-- readable: the record of a task, user or schedule in a text, or an error when it is none, or has fields that no script
-- could use. The sums are the cheapest way to ask many fields at once whether they are numbers.
local STATES = {SCHEDULED = true, DEFERRED = true, QUEUED = true, STARTED = true, FINISHED = true, FAILED = true,
  CANCELED = true}
local LANES = {F = true, R = true, P = true, [""] = true}

local function readable_task(r)
  local sum = r.pushed_at + (r.prio or 3) + (r.timeout or 0) + (r.cost or 0) + (r.score or 0) + (r.attempt or 0)
    + (r.fails or 0) + (r.lost or 0) + (r.root_at or 0) + (r.bytes or 0) + (r.at or 0)
  if r.state == "STARTED" then
    sum = sum + r.charged + r.attempt + r.score + string.find(r.token, ":", 1, true)
  elseif r.state == "DEFERRED" then
    sum = sum + r.open + r.root_at + (r.due or 0)
  elseif r.ended_at then
    sum = sum + r.ended_at + (r.keep or 0)
  end
  if r.kids then sum = sum + (r.told or 0) + (r.last or 0) end
  -- Most of these are absent, and a call of type costs more than to see that.
  return sum == sum and type(r.user) == "string" and (not r.prio or (r.prio >= 1 and r.prio <= 6 and r.prio % 1 == 0))
    and (not r.dedup or type(r.dedup) == "string") and (not r.token or type(r.token) == "string")
    and (not r.instead or type(r.instead) == "string") and (not r.worker or type(r.worker) == "string")
end

local function readable_user(r)
  local sum = r.S + r.inf + r.clk + r.served + r.since + (r.cs or 0) + (r.tat or 0) + (r.ewma or 0)
  return sum == sum
end

--- @include "readable_schedule"

local function readable(text)
  local r = cmsgpack.unpack(text)
  local fits = STATES[r.state] and readable_task or LANES[r.lane] and readable_user or r.rev and readable_schedule
  return fits and fits(r) and r or error("no record")
end
