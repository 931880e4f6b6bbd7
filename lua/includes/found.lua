-- found: collects the findings of a verification, four places each in its answer: kind, name, what is wrong, and
-- whether it was fixed. Without `fix` nothing is written, and a key of the wrong type is an error.
local findings, fix = {1}, false

local function found(kind, name, what, fixed)
  local size = #findings
  findings[size + 1], findings[size + 2], findings[size + 3], findings[size + 4] = kind, name, what, fixed and 1 or 0
end

-- Reads the first argument; nil if it is neither 0 nor 1.
local function begin_verification()
  fix = ARGV[1] == "1"
  spoiled_is_error = not fix
  return (fix or ARGV[1] == "0") or nil
end

-- The answer: the findings, and the keys that a command could not use.
local function all_found()
  for _, key in ipairs(spoiled_keys) do found("type", string.sub(key, #P + 1), "it was of the wrong type", true) end
  return findings
end
