-- pick: the user to be served next, or nil when no task is runnable. Charges nothing; it moves virtual time.
local FRESH_RUN = 8   -- R_b: pops in a row that may pass the ready ring by
local CREDIT_RUN = 3  -- R_c: pops in a row on CRITICAL credit

local function head(ring)
  local first = call("ZRANGE", P .. ring, 0, 0, "WITHSCORES")
  return first[1], tonumber(first[2])
end

local function pick()
  local critical, limit = head("critical")
  if critical and limit <= g.V and g.cg < CREDIT_RUN and g.bs < FRESH_RUN then
    g.cg, g.bs = g.cg + 1, g.bs + 1
    return critical
  end
  local fresh = head("fresh")
  if fresh and g.bs < FRESH_RUN then
    g.cg, g.bs = 0, g.bs + 1
    return fresh
  end
  g.cg, g.bs = 0, 0
  local ready, tag = head("ready")
  if not ready then return fresh end
  g.V = math.max(g.V, tag)
  return ready
end
