-- about_user: adds the state of a user to an answer, as alternating names and values; absent ones are left out.
--- @include "tell_record"
--- @include "user_record"
--- @include "task_record"
--- @include "limits"
local function about_user(reply, id)
  local function tell(name, value)
    if value then reply[#reply + 1], reply[#reply + 2] = name, value end
  end
  tell_record(reply, user_record(id))
  for prefix, owner in pairs({own_ = id, default_ = ""}) do
    local set = settings(owner)
    for index, name in ipairs(SETTINGS) do tell(prefix .. name, set[index] and exact(set[index])) end
  end
  tell("waiting", call("ZCARD", P .. "n:" .. id))
  tell("waiting_critical", call("ZCARD", P .. "c:" .. id))
  tell("scheduled", call("ZCARD", P .. "s:" .. id))
  tell("ahead_ready", call("ZRANK", P .. "ready", id))
  tell("ahead_fresh", call("ZRANK", P .. "fresh", id))
  local timer = between(call("ZSCORE", P .. "timers", id), 0, TOP)
  tell("timer", timer and exact(timer - shift_ms * 1000))
  for _, lane in ipairs({"n:", "c:"}) do
    local next_id = call("ZRANGE", P .. lane .. id, 0, 0)[1]
    local next_task = next_id and task_record(next_id)
    if next_task then tell("head_" .. lane, int(math.floor(next_task.pushed_at / 1000) - shift_ms)) end
  end
  tell("V", exact(g.V))
  tell("pop_at", g.pop_at > 0 and int(g.pop_at - shift_ms))
  tell("running", call("ZCARD", P .. "running"))
  tell("cost_mode", counted and "count" or "time")
end
