-- notification_pending: whether the listeners of an ended task will be notified; assumed if there are very many tasks.
local PENDING = 10000

local function notification_pending(entry)
  return call("LPOS", P .. "pending", entry, "MAXLEN", PENDING) or call("LLEN", P .. "pending") > PENDING
end
