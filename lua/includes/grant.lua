-- grant: starts one task of a user: charges an estimate ahead, gives the lease, and describes the task for the worker.
--- @include "take"

local function grant(u, t, claim, worker, lease_ms, lease_end)
  local of_user, r = u.r, t.r
  local charge = estimate(u, r.cost, lease_ms)
  if of_user.lane == "F" then
    -- The time in a crowd of new users earns nothing either, or it would all be made up for at once.
    of_user.lane, of_user.S, moved = "R", math.max(of_user.S, g.V), moved - 1
  end
  of_user.S, of_user.inf = of_user.S + charge / u.w, of_user.inf + 1
  if u.rate then spend_start(u) end
  -- The fence is the time of the start, and so outlives a failover that rolled the record back.
  local fence = r.token and math.max(started_at(t) + 1, now) or now
  r.state, r.token, r.charged = "STARTED", int(fence) .. ":" .. claim, charge
  r.attempt, r.worker = (r.attempt or 0) + 1, worker
  will_write(t)
  add_to("running", lease_end, t.id)
end

-- Eight places in the answer for each task: id, message, token, attempt, failures, solo, pushed_at, and for one that
-- inherited its user or priority both, the digit of the priority first.
local function describe(reply, tasks)
  if #tasks == 0 then return end
  local keys, size = {}, #reply
  for index, t in ipairs(tasks) do keys[index] = P .. "m:" .. t.id end
  local messages = call("MGET", unpack(keys))
  for index, t in ipairs(tasks) do
    local r = t.r
    reply[size + 1], reply[size + 2], reply[size + 3] = t.id, messages[index] or "", r.token
    reply[size + 4], reply[size + 5], reply[size + 6] = r.attempt, r.fails or 0, r.solo and 1 or 0
    reply[size + 7], reply[size + 8] = r.pushed_at, r.heir and (r.prio or NORMAL) .. r.user or ""
    size = size + 8
  end
end
