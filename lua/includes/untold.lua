-- untold: whether dependents of an ended task still wait to be told of its end. Those that came after it ('n') do not.
local function untold(t)
  local next_line = t.r.kids and call("LINDEX", P .. "d:" .. t.id, t.r.told or 0)
  return next_line and string.sub(next_line, 1, 1) ~= "n"
end
