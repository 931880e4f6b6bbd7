-- quick_push: stores plain tasks without the functions of the rest of the script, whose definitions alone cost more
-- than this. It reads and checks everything before its first write, or undoes it; what is not plain is left to the
-- rest. Both must do the same: a test compares them.
--- @include "access"
--- @include "formats"
repeat
  local argv, size = ARGV, #ARGV
  local limit, ttl_ms = tonumber(argv[1]), tonumber(argv[2])
  if size < 4 or size % 2 ~= 0 or size > 2 + 2 * 1000 or not (limit and limit >= 0 and limit <= 1048576
    and limit % 1 == 0 and ttl_ms and ttl_ms >= 0 and ttl_ms < 2 ^ 53 and ttl_ms % 1 == 0) then break end
--- @include "quick_begin"
  if queue_flags % 8 >= 4 then break end

  -- Whether some users have limits of their own, which may keep their tasks out.
  local has_limits = queue_flags >= 16
  -- The users of the tasks, with the ids of each, and those of them that had no other task; keys and bodies to store,
  -- or the key of the only one.
  local owners, lists, alone, values, key, reply, plain = nil, nil, nil, nil, nil, nil, true
  if size == 4 then
--- @include "quick_push_one"
  else
--- @include "quick_push_many"
  end
  if alone and alone[1] then
--- @include "quick_arrivals"
  end
  if not plain then
    for _, user in ipairs(owners) do call("LTRIM", P .. "n:" .. user, 0, -1 - #lists[user]) end
    break
  end

  if key then
    clk, reply = math.max(now, clk + 1), {1, 1, "QUEUED", argv[3]}
    call("SET", key, struct.pack("<Bd", BODY, clk) .. argv[4])
  else
    call("MSET", unpack(values))
  end
  queued, pushed = queued + size / 2 - 1, pushed + size / 2 - 1
--- @include "quick_end"
  if call("LLEN", P .. "wake") == 0 then call("LPUSH", P .. "wake", "1") end
  do return reply end
until true
