-- describe: adds tasks to the answer of pop, in three places: id, body, and its attempt, empty if it is the first
-- one and began now.
local function describe(reply, tasks)
  local size = #reply
  for _, t in ipairs(tasks) do
    local r, fence = t.r, started_at(t)
    local first = fence == now and r.attempt == 1 and not r.fails and not r.solo
    reply[size + 1], reply[size + 2] = t.id, t.body or body_to_send(t)
    reply[size + 3] = first and "" or struct.pack(AGAIN, fence, r.attempt, r.fails or 0, r.solo and 1 or 0)
    size = size + 3
  end
end
