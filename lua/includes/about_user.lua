-- about_user: adds the state of a user to an answer, as alternating names and values; absent ones are left out.
--- @include "tell_record"
--- @include "user_record"
--- @include "limits"
--- @include "listed"
--- @include "waiting_of"
local LOOKED_OVER = 100 -- tombstones at the front of a list

local function about_user(reply, id)
  local function tell(name, value)
    if value then reply[#reply + 1], reply[#reply + 2] = name, value end
  end
  tell_record(reply, user_record(id))
  for prefix, owner in pairs({own_ = id, default_ = ""}) do
    local set = settings(owner)
    for index, name in ipairs(SETTINGS) do tell(prefix .. name, set[index] and exact(set[index])) end
  end
  local queued, critical = waiting_of(id, user_record(id))
  tell("waiting", queued)
  tell("waiting_critical", critical)
  tell("scheduled", call("ZCARD", P .. "s:" .. id))
  tell("ahead_ready", call("ZRANK", P .. "ready", id))
  tell("ahead_fresh", call("ZRANK", P .. "fresh", id))
  local timer = between(call("ZSCORE", P .. "timers", id), 0, TOP)
  tell("timer", timer and exact(timer - shift_ms * 1000))
  for number, first in ipairs({
    call("LRANGE", P .. "n:" .. id, 0, LOOKED_OVER), call("ZRANGE", P .. "z:" .. id, 0, 0),
    call("ZRANGE", P .. "c:" .. id, 0, 0),
  }) do
    local place = 1
    while first[place] and is_tombstone(first[place]) do place = place + 1 end
    local pushed_at = first[place] and entered_at(first[place])
    if pushed_at then tell("head_" .. number, int(math.floor(pushed_at / 1000) - shift_ms)) end
  end
  tell("V", exact(g.V))
  tell("pop_at", g.pop_at > 0 and int(g.pop_at - shift_ms))
  tell("running", call("ZCARD", P .. "running"))
  tell("cost_mode", counted and "count" or "time")
end
