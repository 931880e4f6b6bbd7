-- sizes: how long messages are, so that pop knows how many fit into its answer before it takes them. A record names
-- the length of a message above SMALL bytes only; a hundred small ones always fit.
local SMALL = 30000
