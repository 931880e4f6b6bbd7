-- wake: wakes one idle worker. The list has at most one element; a script that leaves runnable tasks adds it again.
local function wake()
  if call("LLEN", P .. "wake") == 0 then call("LPUSH", P .. "wake", "1") end
end
