-- untold: whether dependents of an ended task are still to be notified. Those added after its end ('n') are not.
local function untold(t)
  local next_line = t.r.kids and call("LINDEX", P .. "d:" .. t.id, t.r.told or 0)
  return next_line and string.sub(next_line, 1, 1) ~= "n"
end
