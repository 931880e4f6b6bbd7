-- message_of: the message of a task that has not ended, or is a dead letter; nil if there is none that can be read.
-- The whole body, and where the message begins.
local function body_of(id)
  if not bodies[id] then
    local text = redis.pcall("GET", P .. "t:" .. id)
    bodies[id] = type(text) == "string" and text or ""
  end
  local text = bodies[id]
  if #text < TASK_HEAD_SIZE or string.byte(text) ~= BODY then return nil end
  local start = TASK_HEAD_SIZE + string.byte(text, TASK_HEAD_SIZE - 1) + string.byte(text, TASK_HEAD_SIZE) + 1
  if start <= #text + 1 then return text, start end
end

local function message_of(id)
  local text, start = body_of(id)
  return text and string.sub(text, start)
end

-- Whether there is one, without reading it.
local function has_message(id)
  local sound, r = pcall(parse_task, head_of(id), false)
  return sound and not r.ended_at
end
