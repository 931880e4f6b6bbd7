-- delay: stores tasks until their due time in milliseconds. An idle worker is woken if it is before all others.
-- A task with a fixed moment, `at` in its record, waits for it on the server's clock.
local soonest

local function delay(id, user_id, due_ms)
  soonest = soonest or first_score("delayed")
  if due_ms < soonest then
    soonest, entered = due_ms, true
  end
  add_to("delayed", due_ms, id)
  add_to("s:" .. user_id, due_ms, id)
end

local function undelay(id, user_id)
  take_from("delayed", id)
  take_from("s:" .. user_id, id)
end
