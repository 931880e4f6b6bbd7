-- grant: starts one task of a user: charges an estimate ahead, gives the lease, and describes the task for the worker.
--- @include "take"

local function grant(u, t, claim, worker, lease_ms, lease_end)
  local charge = estimate(u, t.cost, lease_ms)
  u.S, u.inf = u.S + charge / u.w, u.inf + 1
  if u.rate then spend_start(u) end
  if u.lane == "F" then u.lane = "R" end
  -- The fence is the time of the start, and so outlives a failover that rolled the record back.
  local fence = math.max((tonumber(string.match(t.token or "", "^%d+")) or 0) + 1, now)
  t.token = int(fence) .. ":" .. claim
  t.attempt = (tonumber(t.attempt) or 0) + 1
  call("HSET", t.key, "state", "STARTED", "token", t.token, "charged", charge, "score", int(tonumber(t.score)),
    "attempt", t.attempt, "worker", worker)
  put(running_in, lease_end, t.id)
end

-- Seven places in the answer for each task: id, message, token, attempt, failures, solo, pushed_at.
local function describe(reply, tasks)
  if #tasks == 0 then return end
  local keys, size = {}, #reply
  for index, t in ipairs(tasks) do keys[index] = P .. "m:" .. t.id end
  local messages = call("MGET", unpack(keys))
  for index, t in ipairs(tasks) do
    reply[size + 1], reply[size + 2], reply[size + 3] = t.id, messages[index] or "", t.token
    reply[size + 4], reply[size + 5], reply[size + 6] = int(t.attempt), t.fails or "0", t.solo or "0"
    reply[size + 7] = t.pushed_at or "0"
    size = size + 7
  end
end
