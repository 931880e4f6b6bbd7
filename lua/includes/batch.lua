-- batch: commands whose arguments a script collects and sends together, in the order in which the batches were made.
-- For one index, the batch that removes is made before the one that adds.
local CHUNK = 1000 -- Lua's stack bounds what unpack may take at a time; even, so that pairs stay together
local batches = {}

-- Without the name of an index the arguments are keys themselves.
local function batch(command, index)
  local list = {command = command, index = index}
  batches[#batches + 1] = list
  return list
end

local function put(list, score, id)
  local size = #list
  list[size + 1], list[size + 2] = score, id
end

local function send(list)
  for first = 1, #list, CHUNK do
    local last = math.min(first + CHUNK - 1, #list)
    if list.index then
      call(list.command, P .. list.index, unpack(list, first, last))
    else
      call(list.command, unpack(list, first, last))
    end
  end
  for index = #list, 1, -1 do list[index] = nil end
end

local function send_batches()
  for _, list in ipairs(batches) do
    if list[1] then send(list) end
  end
end
