-- endings: ends tasks: stores how, and notifies those that wait for it.
--- @include "access"
--- @include "formats"
--- @include "begin"
--- @include "writes"
--- @include "tasks"
--- @include "queues"
--- @include "users"
--- @include "enter"

-- The processes that wait for the end of a task. `w:` stores each with the time until which it listens; a
-- process renews it, so that the ones that died are forgotten.
local TOLD = 256 -- listeners notified at a time, so that a hundred thousand of them do not block the server

local function listen(id, listener, ttl_ms)
  local key = P .. "w:" .. id
  if call("ZADD", key, int(now_ms + ttl_ms), listener) == 1 then
    local gone = call("ZRANGE", key, "-inf", int(now_ms), "BYSCORE", "LIMIT", 0, TOLD)
    if #gone > 0 then call("ZREM", key, unpack(gone)) end
  end
  call("PEXPIRE", key, int(ttl_ms))
end

local function publish(listeners, news)
  for _, listener in ipairs(listeners) do call("PUBLISH", P .. "done:" .. listener, news) end
end

-- Publishes the end of a task to its first `most` listeners and removes them. Returns their number.
local function tell_end(id, news, most)
  local key = P .. "w:" .. id
  local told = call("ZRANGE", key, 0, most - 1)
  publish(told, news)
  if #told < most then call("DEL", key) else call("ZREMRANGEBYRANK", key, 0, most - 1) end
  return #told
end

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

-- Publishes the end of a task to the processes that wait for it: to some at once, and to the others from `pending`, a
-- limited number per call.
local function announce(t, state, blob)
  t.news = news_of(t, state, blob)
  local told = telling > 0 and tell_end(t.id, t.news, telling) or 0
  if told == telling then await_notice("L" .. t.id) end
  telling = telling - told
end

-- Notifies more listeners of the first ended task in `pending`, and moves it to the end. Returns the new first entry.
local function tell_more(entry)
  local t = task(string.sub(entry, 2))
  local state, result = outcome_of(t)
  -- If the task was deleted, the message has no state: the listener reads the task and finds that it is unknown.
  local news = t.news or TERMINAL[state] and news_of(t, state, result) or t.id .. "\n\n0"
  call("LPOP", P .. "pending")
  if tell_end(t.id, news, TOLD) == TOLD then await_notice(entry) end
  return call("LINDEX", P .. "pending", 0)
end

-- The only transition into a terminal state. Stores the result or error with the record, which takes the
-- place of the message unless the task has FAILED; frees the deduplication key, puts the task into the retention index,
-- and notifies the processes that wait for it.
local function conclude(t, state, blob, ttl_ms, xcom)
  local r = t.r
  r.state, r.ended_at = state, now_ms
  will_write(t)
  if #blob > INLINED then
    store_key(P .. "r:" .. t.id, blob)
    r.large = true
  elseif blob ~= "" then
    r.result = blob
  end
  if state == "FAILED" then add_to("dead", now_ms, t.id) end
  if xcom and xcom ~= "" then
    store_key(P .. "x:" .. t.id, xcom)
    r.xcom = true
  end
  if r.kids or r.xcom then r.keep = ttl_ms end
  add_to(r.keep and "held" or "kept", now_ms + ttl_ms, t.id)
  if r.dedup and call("GET", P .. "dedup:" .. r.dedup) == t.id then call("DEL", P .. "dedup:" .. r.dedup) end
  if r.kids then await_notice((state == "FINISHED" and "F" or "X") .. t.id) end
  if r.watch then announce(t, state, blob) end
  count(string.lower(state), 1)
  return state
end

-- Cancels a task because a task that it depends on did not finish.
local function cancel_with(t, parent, ttl_ms)
  local why = "task " .. parent .. ", on which it depends, did not finish"
  conclude(t, "CANCELED", '"' .. string.gsub(why, '["\\]', "\\%0") .. '"', ttl_ms)
end

-- A task whose record is missing or unreadable becomes a dead letter with that reason, so that waiting processes
-- are notified. Only its id and the index where it was found are known, and what was pushed if that can be read.
local function bury(t, owner, where, ttl_ms)
  local pushed, gone = set_aside_task(t)
  t.r = {
    user = pushed.user or #owner <= 128 and owner or "", digest = pushed.digest or "", prio = pushed.prio,
    timeout = pushed.timeout, cost = pushed.cost, pushed_at = pushed.pushed_at or now,
    kids = call("EXISTS", P .. "d:" .. t.id) == 1 or nil, watch = call("EXISTS", P .. "w:" .. t.id) == 1 or nil,
  }
  return conclude(t, "FAILED", cjson.encode({
    type = "BrokenRecord", reason = "broken", error = "its record " .. gone .. "; its id was found in " .. where,
  }), ttl_ms)
end

-- Whether the record of a task that was found in an index of other states is lost: there is none, or nothing but what
-- was pushed, and the task is not in its queue.
local function record_lost(t)
  return not t.r.state or t.bare and not in_queue(t)
end

-- Makes a waiting task whose message is missing or unreadable a dead letter.
local function leave_waiting(t, dead_ttl_ms)
  local r = t.r
  if r.state == "QUEUED" then
    leave_queue(user(r.user), t)
  elseif r.state == "SCHEDULED" then
    undelay(t.id, r.user)
  else
    undefer(t)
  end
  local gone = set_aside(P .. "t:" .. t.id) and "cannot be read and was set aside" or "is gone"
  local error_of = '{"type":"BrokenRecord","reason":"broken","error":"its message ' .. gone .. '"}'
  conclude(t, "FAILED", error_of, dead_ttl_ms)
end
