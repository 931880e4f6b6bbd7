-- quick_push_many: checks several tasks and puts them into the lists of their users; a part of the block of quick_push.
-- Each task is plain and new. Tasks of a batch often have the same head and user: these are looked at once.
owners, lists, alone, values, reply = {}, {}, {}, {}, {1}
local keys, ids, seen_ids, total, place = {}, {}, {}, 0, 0
local last_head, last_user, user_from, user_to, list
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
  if user ~= last_user then
    last_user, list = user, lists[user]
    if not list then
      plain, list = plain and not string.find(user, "%c"), {}
      owners[#owners + 1], lists[user] = user, list
    end
  end
  total, place, clk = total + bytes, place + 1, math.max(now, clk + 1)
  plain = plain and bytes >= 0 and bytes <= limit and total <= 4194304 and not seen_ids[id] and id ~= ""
    and #id <= 128 and not string.find(id, "%c")
  if not plain then break end
  local body_key, at = P .. "t:" .. id, 3 * place
  seen_ids[id], keys[place], ids[place], list[#list + 1] = true, body_key, id, id
  values[first - 2], values[first - 1] = body_key, struct.pack("<Bd", BODY, clk) .. content
  reply[at - 1], reply[at], reply[at + 1] = 1, "QUEUED", id
end
if not plain or read("EXISTS", unpack(keys)) ~= 0 then break end
local records = read("HMGET", P .. "a", unpack(ids))
if records.err then break end
for known = 1, place do plain = plain and not records[known] end
if not plain then break end
if has_limits then
  local limits = {unpack(owners)}
  for k, user in ipairs(owners) do limits[k] = P .. "cfg:" .. user end
  if read("EXISTS", unpack(limits)) ~= 0 then break end
end
for _, user in ipairs(owners) do
  local own = lists[user]
  if call("RPUSH", P .. "n:" .. user, unpack(own)) == #own then alone[#alone + 1] = user end
end
