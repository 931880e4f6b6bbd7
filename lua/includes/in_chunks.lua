-- in_chunks: a command with many arguments; Lua's stack bounds what unpack may take at a time.
local CHUNK = 1000

local function in_chunks(command, key, list)
  for first = 1, #list, CHUNK do
    call(command, key, unpack(list, first, math.min(first + CHUNK - 1, #list)))
  end
end

-- The same for a command whose keys are the list.
local function keys_in_chunks(command, list)
  for first = 1, #list, CHUNK do
    call(command, unpack(list, first, math.min(first + CHUNK - 1, #list)))
  end
end
