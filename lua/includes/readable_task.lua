-- readable_task: whether the fields of a task's record are usable, and those that its state needs are present.
local function texts(r)
  return type(r.user) == "string" and (not r.dedup or type(r.dedup) == "string")
    and (not r.token or type(r.token) == "string") and (not r.instead or type(r.instead) == "string")
    and (not r.worker or type(r.worker) == "string")
end

local function readable_task(r)
  local state = r.state
  if state == "STARTED" then
    local fence = string.match(r.token, "^(%d+):")
    if not (sane(r.charged) and r.attempt and r.score and whole(fence)) then return false end
  elseif state == "DEFERRED" then
    if not (sane(r.open) and r.root_at) then return false end
  elseif state == "FINISHED" or state == "FAILED" or state == "CANCELED" then
    if not r.ended_at then return false end
  end
  -- Most of these are absent.
  return r.pushed_at >= 0 and r.pushed_at < TOP and (not r.prio or (r.prio >= 1 and r.prio <= 6 and r.prio % 1 == 0))
    and (not r.score or (r.score > -TOP and r.score < TOP)) and (not r.attempt or sane(r.attempt))
    and (not r.timeout or sane(r.timeout)) and (not r.cost or sane(r.cost)) and (not r.fails or sane(r.fails))
    and (not r.lost or sane(r.lost)) and (not r.root_at or sane(r.root_at)) and (not r.bytes or sane(r.bytes))
    and (not r.ended_at or sane(r.ended_at)) and (not r.keep or sane(r.keep)) and (not r.due or sane(r.due))
    and (not r.at or sane(r.at)) and (not r.told or whole(r.told)) and (not r.last or sane(r.last)) and texts(r)
end
