-- waiting: the tasks in a user's queue and CRITICAL lane: counts them on demand, and removes one from both.
local function recount(u) u.pn, u.pc = call("ZCARD", P .. "n:" .. u.id), call("ZCARD", P .. "c:" .. u.id) end

local function count_waiting(u)
  local r = u.r
  if u.pn then return end
  u.pn = r.lane == "" and 0 or call("ZCARD", P .. "n:" .. u.id)
  -- A runnable user with CRITICAL tasks borrows, or has just had its maximum of them in a row.
  local none = r.lane == "" or (r.lane ~= "P" and not r.borrows and (r.cs or 0) < CRITICAL_RUN)
  u.pc = none and 0 or call("ZCARD", P .. "c:" .. u.id)
end

local function leave_queue(u, id)
  if call("ZREM", P .. "n:" .. u.id, id) + call("ZREM", P .. "c:" .. u.id, id) > 0 then count("queued", -1) end
  recount(u)
end
