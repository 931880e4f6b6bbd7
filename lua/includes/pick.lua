-- pick: the user to serve next, or nil if no task is runnable. It advances virtual time, and charges nothing.
local FRESH_RUN = 8   -- R_b: pops in a row that may skip the ready ring
local CREDIT_RUN = 3  -- R_c: pops in a row on CRITICAL credit
--- @include "rivals"

local function pick()
  local borrower, from = head(critical)
  local user_id, tag = head(ready)
  -- A user behind V is never skipped: its limit may keep it from making up for the lost turn.
  local lends = not tag or tag >= g.V
  if borrower and from <= g.V and lends and g.cg < CREDIT_RUN and g.bs < FRESH_RUN then
    g.cg, g.bs = g.cg + 1, g.bs + 1
    return borrower
  end
  local newcomer = head(fresh)
  if newcomer and g.bs < FRESH_RUN then
    g.cg, g.bs = 0, g.bs + 1
    return newcomer
  end
  g.bs = 0
  -- Credit that skipped a fresh user stays used, or each round could begin with three more CRITICAL pops.
  if not user_id or not newcomer then g.cg = 0 end
  if not user_id then return newcomer end
  if tag < TOP then g.V = math.max(g.V, tag) end
  return user_id
end
