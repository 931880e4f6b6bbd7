-- announce: publishes the end of a task to the processes that wait for it: to some at once, and to the others from
-- `pending`, a limited number per call.
--- @include "listeners"
--- @include "terminal"
local INLINE = 16384 -- bytes of the largest result that is sent with the announcement
local telling = TOLD -- how many more listeners this call may notify

-- Puts an ended task among those whose dependents or listeners are to be notified.
local function await_notice(entry)
  call("RPUSH", P .. "pending", entry)
  g.next_at = 0
end

local function news_of(t, state, blob)
  return t.id .. "\n" .. state .. "\n" .. (#blob <= INLINE and "1" .. blob or "0")
end

local function announce(t, state, blob)
  t.news = news_of(t, state, blob)
  local told = telling > 0 and tell_end(t.id, t.news, telling) or 0
  if told == telling then await_notice("L" .. t.id) end
  telling = telling - told
end

-- Notifies more listeners of the first ended task in `pending`, and moves it to the end. Returns the new first entry.
local function tell_more(entry)
  local t = task(string.sub(entry, 2))
  local known = TERMINAL[t.r.state]
  -- If the task was deleted, the message has no state: the listener reads the task and finds that it is unknown.
  local news = t.news or known and news_of(t, t.r.state, result_of(t)) or t.id .. "\n\n0"
  call("LPOP", P .. "pending")
  if tell_end(t.id, news, TOLD) == TOLD then await_notice(entry) end
  return call("LINDEX", P .. "pending", 0)
end
