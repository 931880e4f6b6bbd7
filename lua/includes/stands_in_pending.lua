-- stands_in_pending: whether those who wait for the end of a task will be told; of very many tasks that is believed.
local PENDING = 10000

local function stands_in_pending(entry)
  return call("LPOS", P .. "pending", entry, "MAXLEN", PENDING) or call("LLEN", P .. "pending") > PENDING
end
