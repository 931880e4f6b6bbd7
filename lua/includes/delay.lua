-- delay: keeps tasks until their time in milliseconds. An idle worker is woken when that is sooner than all others'.
local delayed_out, delayed_in = batch("ZREM", "delayed"), batch("ZADD", "delayed")
local soonest

local function delay(id, user_id, due_ms)
  soonest = soonest or first_score("delayed")
  if due_ms < soonest then
    soonest, entered = due_ms, true
  end
  put(delayed_in, due_ms, id)
  call("ZADD", P .. "s:" .. user_id, due_ms, id)
end

local function undelay(id, user_id)
  delayed_out[#delayed_out + 1] = id
  call("ZREM", P .. "s:" .. user_id, id)
end
