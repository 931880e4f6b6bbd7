-- lose: a schedule whose record is gone or cannot be read stands nowhere any more, and what was there is set aside.
-- Gives whether there was anything of it.
local function lose(id)
  local aside = set_aside(P .. "schedule:" .. id)
  return call("ZREM", P .. "schedules", id) + call("ZREM", P .. "due", id) > 0 or aside
end
