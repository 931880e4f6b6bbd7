-- score: the score of a member of an index; nil when it does not stand there.
local function score(index, id) return tonumber(call("ZSCORE", P .. index, id) or nil) end
