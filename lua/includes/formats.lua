-- formats: how bodies, records of tasks and users, and the scheduler record are packed.

-- How what is stored of tasks is packed. A body is the head, the digest, the user and the message. A
-- record is the same head with its own first byte, digest and user, then the packed part of ATTEMPT, token, settled
-- token, worker, a MessagePack map of what few tasks have, and the result.
--   head     kind, pushed_at (µs), priority, timeout, cost (-1: none), lengths of digest and user
--   content  the head from the priority on, as the producer packs it, and all that follows in a body
--   ending   state, flags, ended_at, length of the result; it begins the attempt
--   attempt  score (-inf: none), charged, attempt, fails, lost, lengths of token, settled token, worker and map
--   again    what a pop answers of an attempt that is not the first, or has another fence than the others: fence,
--            attempt, fails, whether to run it apart
-- A number that is 0 is as good as absent.
local TASK_HEAD, TASK_HEAD_SIZE = "<BdBddBB", 28
local CONTENT, CONTENT_SIZE = "<BddBB", 19
local TASK_ENDING, TASK_ENDING_SIZE = "<BBdI4", 14
local ATTEMPT, ATTEMPT_SIZE = TASK_ENDING .. "ddI4I4I4BBBI4", 49
local AGAIN = "<dI4I4B"
local BODY = 1   -- the first byte
local RECORD = 2 -- the first byte
local STATE_NUMBERS = {QUEUED = 1, SCHEDULED = 2, DEFERRED = 3, STARTED = 4, FINISHED = 5, FAILED = 6, CANCELED = 7}
local TIMEOUT = 3600000   -- milliseconds; the default of task.py
local ATTEMPT_FLAGS = 4   -- flags below this concern only the attempt
local LARGE = 32          -- the flag of a task whose result is in `r:`
local INLINED = 1024      -- bytes of the largest result that is a part of the record

-- How the record of a user begins: S, served, since, ewma (0: none), inf and the number of its lane.
local USER, USER_SIZE = "<ddddI4B", 37
-- Added to the number of the lane if the user is in the critical ring; and if it has tasks in `z:`.
local BORROWS = 4
local SORTED = 8
-- No user is so far behind virtual time, in µs: half a year.
local FAR = 2 ^ 44

-- A member of `running` that is never due. Longer than 64 bytes, it makes the server keep a skip list, which is changed
-- faster than the compact form of small sorted sets. No task has such an id.
local FILLER = string.rep("\1", 65)

-- How the scheduler record is packed; see globals for its values. The flags are 1 test clock, 2 each
-- task costs one, 4 backlog of the queue, 8 somebody may have CRITICAL tasks, 16 single users have limits, 32 and more:
-- not for quick paths.
local GLOBALS, GLOBALS_SIZE, GLOBALS_VERSION = "<BBBBdddddddddddddd", 116, 1

-- From this many bytes of messages on, pop takes no further task: the longest possible message still fits, and all
-- other places of a hundred tasks.
local FULL = 3000000
-- A message longer than the limit of push is not sent: it was not written by push, and the worker could not read it.
local MOST_MESSAGE = 1048576 -- keep equal to push.py
