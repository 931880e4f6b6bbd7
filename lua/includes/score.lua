-- score: the score of a member of an index, or nil.
local function score(index, id) return tonumber(call("ZSCORE", P .. index, id) or nil) end
