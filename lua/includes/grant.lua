-- grant: starts one task of a user: charges an estimate ahead, gives the lease, and describes the task for the worker.
local FIELDS = 6 -- places in the answer for each task: message, token, attempt, failures, solo, pushed_at

-- Takes the task that is the user's next, or nil when its record is not what it should be.
local function take(u)
  local critical = u.pc > 0 and (u.cs < CRITICAL_RUN or u.pn == 0)
  local popped = call("ZPOPMIN", critical and u.c or u.n)
  if critical then
    u.pc, u.cs = call("ZCARD", u.c), u.cs + 1
  else
    u.pn, u.cs = call("ZCARD", u.n), 0
  end
  if not popped[1] then return nil end
  count("queued", -1)
  local t = task(popped[1], "state", "token", "attempt", "deliv", "fails", "solo", "cost", "pushed_at")
  t.score = popped[2]
  if t.state == "QUEUED" then return t end
end

local function estimate(u, t, lease_ms)
  local longest = lease_ms * 1000 / 3
  return math.max(1000, math.min(longest, tonumber(t.cost) or u.ewma or g.est0))
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

local function describe(reply, t)
  local size = #reply
  reply[size + 1] = call("GET", P .. "m:" .. t.id) or ""
  reply[size + 2], reply[size + 3], reply[size + 4] = t.token, int(t.attempt), t.fails or "0"
  reply[size + 5], reply[size + 6] = t.solo or "0", t.pushed_at or "0"
end
