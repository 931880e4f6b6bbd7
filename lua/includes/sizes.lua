-- sizes: how many bytes of messages pop answers.
-- From this many on, no further task is taken: the longest possible message still fits, and all other places of a
-- hundred tasks.
local FULL = 3000000
-- A message longer than the limit of push is not sent: it was not written by push, and the worker could not read it.
local MOST_MESSAGE = 1048576 -- keep equal to push.lua
