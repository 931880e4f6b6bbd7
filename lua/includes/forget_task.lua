-- forget_task: drops all that is kept of an ended task. What stands in `kept` has left neither values nor dependents,
-- and its ending has told whoever waited, so that most tasks, which go from there, are spared the other keys.
local OF_KEPT, OF_HELD = {"t:", "m:", "r:", "p:"}, {"t:", "m:", "r:", "p:", "w:", "x:", "d:"}

local function forget_task(id, index)
  for _, kind in ipairs(index == "kept" and OF_KEPT or OF_HELD) do drop_key(P .. kind .. id) end
  take_from(index, id)
  take_from("dead", id)
end
