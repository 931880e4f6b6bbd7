-- dependents_pending: whether dependents of an ended task await notice; those added after its end ('n') do not.
local function dependents_pending(t)
  local next_line = t.r.kids and call("LINDEX", P .. "d:" .. t.id, t.r.told or 0)
  return next_line and string.sub(next_line, 1, 1) ~= "n"
end
