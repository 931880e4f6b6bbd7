-- sizes: the sizes of messages, so that pop knows how many fit into its answer before it takes them. A record has the
-- size only of a message above SMALL bytes; a hundred small ones always fit.
local SMALL = 30000
-- From this many bytes of messages on, no further task is taken: the longest possible message still fits, and all other
-- places of a hundred tasks.
local FULL = 3000000
-- A message longer than the limit of push is not sent: it was not written by push, and the worker could not read it.
local MOST_MESSAGE = 1048576 -- keep equal to push.lua
