-- announce: tells the processes that wait for a task of its end: some at once, and the others from `pending`, some in
-- each call.
--- @include "listeners"
--- @include "terminal"
local INLINE = 16384 -- bytes of a result that still travel with the message that announces it
local telling = TOLD -- how many listeners all endings of this call may still tell

local function news_of(t, state, blob)
  return t.id .. "\n" .. state .. "\n" .. (#blob <= INLINE and "1" .. blob or "0")
end

local function announce(t, state, blob)
  t.news = news_of(t, state, blob)
  local told = telling > 0 and tell_end(t.id, t.news, telling) or 0
  if told == telling then call("RPUSH", P .. "pending", "L" .. t.id) end
  telling = telling - told
end

-- Tells more of those who wait for the ended task that stands first in `pending`, and puts it behind the others.
-- Returns which one stands first now.
local function tell_more(entry)
  local t = task(string.sub(entry, 2))
  local known = TERMINAL[t.r.state]
  -- Of one that is not known any more there is nothing to say: who hears of it looks, and sees that.
  local news = t.news or known and news_of(t, t.r.state, call("GET", P .. "r:" .. t.id) or "") or t.id .. "\n\n0"
  call("LPOP", P .. "pending")
  if tell_end(t.id, news, TOLD) == TOLD then call("RPUSH", P .. "pending", entry) end
  return call("LINDEX", P .. "pending", 0)
end
