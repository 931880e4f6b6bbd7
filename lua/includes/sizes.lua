-- sizes: the sizes of messages, so that pop knows how many fit into its answer before it takes them. A record has the
-- size only of a message above SMALL bytes; a hundred small ones always fit.
local SMALL = 30000
