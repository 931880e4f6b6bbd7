-- quick_push_one: checks one task and puts it into the list of its user, without tables; a part of the block of
-- quick_push.
local id, content = argv[3], argv[4]
if #content < CONTENT_SIZE or id == "" or #id > 128 or string.find(id, "%c") then break end
local prio, timeout, cost, digest, length = struct.unpack(CONTENT, content)
local user_to = CONTENT_SIZE + digest + length
local user, bytes = string.sub(content, user_to - length + 1, user_to), #content - user_to
plain = prio == 3 and timeout >= 0 and timeout < 2 ^ 53 and timeout % 1 == 0
  and (cost == -1 or cost >= 0 and cost < 2 ^ 53 and cost % 1 == 0) and digest == 8 and length > 0 and length <= 128
  and bytes >= 0 and bytes <= limit and not string.find(user, "%c")
if not plain then break end
key = P .. "t:" .. id
if read("EXISTS", key) ~= 0 or read("HEXISTS", P .. "a", id) ~= 0 then break end
if has_limits and read("EXISTS", P .. "cfg:" .. user) ~= 0 then break end
if call("RPUSH", P .. "n:" .. user, id) == 1 then owners, alone, lists = {user}, {user}, {[user] = {id}} end
