-- read_ahead: reads the tasks of a call, whose ids come first in each group of ARGV, and then their users, each with
-- one command.
--- @include "task_record"
--- @include "user_record"
local function read_ahead(head, stride)
  local ids, owners, seen = {}, {}, {}
  for first = head + 1, #ARGV, stride do ids[#ids + 1] = ARGV[first] end
  read_tasks(ids)
  for _, id in ipairs(ids) do
    local owner = task_records[id] and task_records[id].user
    if owner and not seen[owner] then
      seen[owner] = true
      owners[#owners + 1] = owner
    end
  end
  read_users(owners)
end
