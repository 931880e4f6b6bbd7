-- parents_at: whether the lines of parents in an argument have their form.
local function parents_at(index)
  local lines = ARGV[index]
  if lines == "" then return true end
  for line in string.gmatch(lines .. "\n", "([^\n]*)\n") do
    if not string.match(line, "^[cr].") or #line > 129 then return false end
  end
  return true
end
