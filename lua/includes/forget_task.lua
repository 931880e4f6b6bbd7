-- forget_task: deletes all keys of an ended task. A task in `kept` has no values, dependents or listeners left, so for
-- most tasks fewer keys are deleted.
local OF_KEPT, OF_HELD = {"r:", "p:"}, {"r:", "p:", "w:", "x:", "d:"}

local function forget_task(id, index)
  delete_task(id)
  for _, kind in ipairs(index == "kept" and OF_KEPT or OF_HELD) do drop_key(P .. kind .. id) end
  take_from(index, id)
  take_from("dead", id)
end
