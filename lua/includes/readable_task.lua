-- readable_task: whether the fields of a task's record are usable, and those that its state needs are present.
-- Comparing a value that is not a number raises an error, and NaN is in no range.
local function texts(r)
  return (not r.dedup or type(r.dedup) == "string") and (not r.instead or type(r.instead) == "string")
end

local function readable_task(r)
  local state = r.state
  if state == "STARTED" then
    if not (r.charged and r.attempt and r.score and whole(string.match(r.token, "^(%d+):"))) then return false end
  elseif state == "DEFERRED" then
    if not (sane(r.open) and r.root_at) then return false end
  elseif state == "FINISHED" or state == "FAILED" or state == "CANCELED" then
    if not r.ended_at then return false end
  elseif not state then
    return false
  end
  -- Most of these are absent.
  return r.pushed_at >= 0 and r.pushed_at < TOP and (not r.prio or (r.prio >= 1 and r.prio <= 6))
    and (not r.score or (r.score > -TOP and r.score < TOP)) and (not r.timeout or sane(r.timeout))
    and (not r.cost or sane(r.cost)) and (not r.charged or sane(r.charged)) and (not r.ended_at or sane(r.ended_at))
    and (not r.root_at or sane(r.root_at)) and (not r.keep or sane(r.keep)) and (not r.due or sane(r.due))
    and (not r.at or sane(r.at)) and (not r.told or whole(r.told)) and (not r.last or sane(r.last)) and texts(r)
end
