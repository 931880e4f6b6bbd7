-- in_queue: whether a task that is QUEUED is in its user's queue.
--- @include "listed"
local function in_queue(t)
  local r = t.r
  return call("ZSCORE", P .. (r.prio == 6 and "c:" or "z:") .. r.user, t.id)
    or not r.prio and index_of(P .. "n:" .. r.user, t.id, r.pushed_at)
end
