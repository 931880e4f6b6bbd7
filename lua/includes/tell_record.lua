-- tell_record: adds the fields of a record to an answer, names and values in turn, numbers as text without loss.
--- @include "record"
local function tell_record(reply, r)
  for name, value in pairs(r or {}) do
    if type(value) == "number" then value = exact(value) end
    if type(value) == "boolean" then value = value and "1" or "" end
    reply[#reply + 1], reply[#reply + 2] = name, value
  end
end
