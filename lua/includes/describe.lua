-- describe: adds a task to the answer of pop, in three places: id, body, and its attempt, empty if it is the first one
-- and began now. Returns the bytes of the body, which has no message if that is too long or cannot be read.
--- @include "sizes"

local function describe(reply, t)
  local text, start = body_of(t.id)
  local body = text and #text - start < MOST_MESSAGE and text or pack_head(BODY, t.r)
  local r, fence, size = t.r, started_at(t), #reply
  local first = fence == now and r.attempt == 1 and not r.fails and not r.solo
  reply[size + 1], reply[size + 2] = t.id, body
  reply[size + 3] = first and "" or struct.pack(AGAIN, fence, r.attempt, r.fails or 0, r.solo and 1 or 0)
  return #body
end
