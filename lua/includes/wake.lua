-- wake: lets one idle worker look. The list holds at most one element; whoever leaves work behind sets it again.
local function wake()
  if call("LLEN", P .. "wake") == 0 then call("LPUSH", P .. "wake", "1") end
end
