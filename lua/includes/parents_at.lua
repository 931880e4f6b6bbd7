-- parents_at: whether the lines of parents in an argument are well-formed.
local function parents_at(index)
  local lines = "\n" .. ARGV[index] .. "\n"
  if ARGV[index] == "" then return true end
  if string.find(lines, "\n[^cr]") or string.find(lines, "\n[cr]\n") then return false end
  for line in string.gmatch(lines, "[^\n]+") do
    if #line > 129 then return false end
  end
  return true
end
