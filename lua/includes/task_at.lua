-- task_at: whether the eleven arguments of a task, from `first` on, are as push.lua lists them.
--- @include "parents_at"
--- @include "due_time"
local function task_at(first)
  local priority, heir = number_at(first + 2), ARGV[first + 9] ~= ""
  local _, malformed = due_time(ARGV[first + 3])
  return not malformed and id_at(first) and (id_at(first + 1) or (heir and ARGV[first + 1] == ""))
    and priority and priority <= 6 and (priority > 0 or heir)
    and number_at(first + 4) and (ARGV[first + 5] == "" or number_at(first + 5)) and number_at(first + 7)
    and parents_at(first + 9) and #ARGV[first + 8] <= 255
end
