-- bounds: lower bounds of the scheduler record, so that a quick path compares a number instead of reading indexes. They
-- may be too low, which costs a look; only a script that has looked raises one.
--   next_at  in milliseconds: the first lease ends, or the first delayed task or timer is due; 0 while ended tasks have
--            dependents or listeners to notify
--   owe_min  the lowest tag in `owe`     kept_at  in milliseconds: the first ended task is to be deleted or checked
--- @include "access"
--- @include "begin"

-- When the first lease ends, or the first delayed task or timer is due, in milliseconds.
local function first_due()
  return math.min(first_score("running"), first_score("delayed"), math.ceil(first_score("timers") / 1000))
end

-- The values of the bounds and of what else is copied from the rings, from the indexes as they are stored.
local function true_next_at()
  return call("EXISTS", P .. "pending") > 0 and 0 or math.max(0, math.min(TOP, first_due()))
end

local function true_owe_min() return math.max(-TOP, math.min(TOP, first_score("owe"))) end

local function true_kept_at() return math.max(0, math.min(TOP, first_score("kept"), first_score("held"))) end

-- Sets the bounds that are reached again, once all changes of the indexes are sent.
local function renew_bounds()
  if g.next_at <= now_ms then g.next_at = true_next_at() end
  if g.owe_min <= g.V then g.owe_min = true_owe_min() end
  if g.kept_at <= now_ms then g.kept_at = true_kept_at() end
  if g.critical then g.critical = call("EXISTS", P .. "critical") > 0 end
  g.fresh_n = call("ZCARD", P .. "fresh")
end

-- Lets renew_bounds look at all indexes: a bound that is too high would hide what is there.
local function doubt_bounds() g.next_at, g.owe_min, g.kept_at, g.critical = 0, -TOP, 0, true end
