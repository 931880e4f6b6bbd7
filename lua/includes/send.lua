-- send: sends the collected writes.
local function send(command, key, list)
  for first = 1, #list, CHUNK do call(command, key, unpack(list, first, math.min(first + CHUNK - 1, #list))) end
end

local function send_index(index)
  if taken[index] then send("ZREM", P .. index, taken[index]) end
  if added[index] then send("ZADD", P .. index, added[index]) end
  taken[index], added[index] = nil, nil
end

local function send_keys(command, list)
  for first = 1, #list, CHUNK do call(command, unpack(list, first, math.min(first + CHUNK - 1, #list))) end
end

local function send_batches()
  send_keys("DEL", dropped)
  for index in pairs(taken) do send_index(index) end
  for index in pairs(added) do send_index(index) end
  for list, ids in pairs(appended) do send("RPUSH", P .. list, ids) end
  send_keys("MSET", stored)
  dropped, stored, appended = {}, {}, {}
end
