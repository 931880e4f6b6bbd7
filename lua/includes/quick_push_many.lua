-- quick_push_many: checks several tasks and puts them into the lists of their users; a part of the block of quick_push.
-- Each task is plain and new. Tasks of a batch often have the same head: it is looked at once.
owners, lists, alone, keys, ids = {}, {}, {}, {}, {}
local seen_ids, total = {}, 0
local last_head, user_from, user_to
for first = 3, size, 2 do
  local id, content = argv[first], argv[first + 1]
  local own_head = string.sub(content, 1, CONTENT_SIZE)
  if own_head ~= last_head then
    plain = #own_head == CONTENT_SIZE
    if not plain then break end
    local prio, timeout, cost, digest, length = struct.unpack(CONTENT, own_head)
    plain = prio == 3 and timeout >= 0 and timeout < 2 ^ 53 and timeout % 1 == 0
      and (cost == -1 or cost >= 0 and cost < 2 ^ 53 and cost % 1 == 0) and digest == 8
      and length > 0 and length <= 128
    last_head, user_from, user_to = own_head, CONTENT_SIZE + digest + 1, CONTENT_SIZE + digest + length
  end
  local user, bytes = string.sub(content, user_from, user_to), #content - user_to
  local list = lists[user]
  total = total + bytes
  plain = plain and bytes >= 0 and bytes <= limit and total <= 4194304 and not seen_ids[id] and id ~= ""
    and #id <= 128 and not string.find(id, "%c") and (list or not string.find(user, "%c"))
  if not plain then break end
  seen_ids[id] = true
  keys[#keys + 1], ids[#ids + 1] = P .. "t:" .. id, id
  if list then list[#list + 1] = id else
    owners[#owners + 1], lists[user] = user, {id}
  end
end
if not plain or read("EXISTS", unpack(keys)) ~= 0 then break end
local records = read("HMGET", P .. "a", unpack(ids))
if records.err then break end
for place = 1, #ids do plain = plain and not records[place] end
if not plain then break end
if has_limits then
  local limits = {unpack(owners)}
  for place, user in ipairs(owners) do limits[place] = P .. "cfg:" .. user end
  if read("EXISTS", unpack(limits)) ~= 0 then break end
end
for _, user in ipairs(owners) do
  if call("RPUSH", P .. "n:" .. user, unpack(lists[user])) == #lists[user] then alone[#alone + 1] = user end
end
