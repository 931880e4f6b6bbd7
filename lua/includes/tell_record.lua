-- tell_record: adds the fields of a record to an answer: alternating names and values, numbers as lossless text, times
-- on the server's clock, when a task was pushed in milliseconds; and when its attempt began.
local SCALES = {
  pushed_at = 1, ended_at = 1, due = 1, last = 1, since = 1, root_at = 1000, tat = 1000,
}

local function tell_record(reply, r)
  local fence = r and r.token and whole(string.match(r.token, "^%d+"))
  if fence then reply[#reply + 1], reply[#reply + 2] = "started_at", int(math.floor(fence / 1000) - shift_ms) end
  for name, value in pairs(r or {}) do
    if name == "pushed_at" then value = math.floor(value / 1000) end
    if type(value) == "number" then value = exact(value - (SCALES[name] or 0) * shift_ms) end
    if value == true then value = "1" end
    if name == "digest" then
      value = string.gsub(value, ".", function(byte) return format("%02x", string.byte(byte)) end)
    end
    -- A false value is absent, and other types are not used.
    if type(value) == "string" and name ~= "result" then reply[#reply + 1], reply[#reply + 2] = name, value end
  end
end
