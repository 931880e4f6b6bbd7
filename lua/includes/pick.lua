-- pick: the user to be served next, or nil when no task is runnable. Charges nothing; it moves virtual time.
local FRESH_RUN = 8   -- R_b: pops in a row that may pass the ready ring by
local CREDIT_RUN = 3  -- R_c: pops in a row on CRITICAL credit
--- @include "rivals"

local function pick()
  local borrower, from = head(critical)
  local user_id, tag = head(ready)
  -- Nobody borrows from a user behind V: its limit may not let it make up for the turn that it would lose.
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
  -- Credit that passed a fresh user by stays used, or each round could begin with three CRITICAL pops more.
  if not user_id or not newcomer then g.cg = 0 end
  if not user_id then return newcomer end
  if tag < TOP then g.V = math.max(g.V, tag) end
  return user_id
end
