-- grant: starts one task of a user: charges an estimate ahead, gives the lease, and describes the task for the worker.
--- @include "take"

local function estimate(u, t, lease_ms)
  local longest = lease_ms * 1000 / 3
  -- Whole, since the record of the task holds it whole: what is charged here is taken back to the last microsecond.
  return math.floor(math.max(1000, math.min(longest, tonumber(t.cost) or u.ewma or g.est0)))
end

local function grant(u, t, claim, worker, lease_ms)
  local charge = estimate(u, t, lease_ms)
  u.S, u.inf = u.S + charge / u.w, u.inf + 1
  if u.lane == "F" then
    call("ZREM", P .. "fresh", u.id)
    u.lane = "R"
  end
  -- The fence outlives a failover that rolled the record back, since it is a time.
  local fence = math.max((tonumber(string.match(t.token or "", "^%d+")) or 0) + 1, now)
  t.token = int(fence) .. ":" .. claim
  t.attempt, t.deliv = (tonumber(t.attempt) or 0) + 1, (tonumber(t.deliv) or 0) + 1
  call("HSET", t.key, "state", "STARTED", "token", t.token, "st", int(now), "charged", int(charge),
    "score", int(tonumber(t.score)), "attempt", t.attempt, "deliv", t.deliv, "worker", worker)
  call("ZADD", P .. "running", int(now_ms + lease_ms), t.id)
end

-- Seven places in the answer: id, message, token, attempt, failures, solo, pushed_at.
local function describe(reply, t)
  local size = #reply
  reply[size + 1], reply[size + 2] = t.id, call("GET", P .. "m:" .. t.id) or ""
  reply[size + 3], reply[size + 4], reply[size + 5] = t.token, int(t.attempt), t.fails or "0"
  reply[size + 6], reply[size + 7] = t.solo or "0", t.pushed_at or "0"
end
