-- describe: adds a task to the answer of pop, in eight places: id, message, token, attempt, failures, solo, pushed_at,
-- and for a task that inherited its user or priority both, the digit of the priority first.
--- @include "sizes"

local function describe(reply, tasks)
  local size = #reply
  for _, t in ipairs(tasks) do
    local r, message = t.r, message_of(t.id) or ""
    if #message > MOST_MESSAGE then message = "" end
    reply[size + 1], reply[size + 2], reply[size + 3] = t.id, message, r.token
    reply[size + 4], reply[size + 5], reply[size + 6] = r.attempt, r.fails or 0, r.solo and 1 or 0
    reply[size + 7], reply[size + 8] = math.floor(r.pushed_at / 1000), r.heir and (r.prio or NORMAL) .. r.user or ""
    size = size + 8
  end
end
