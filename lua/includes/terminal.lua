-- terminal: the states in which a task has ended.
local TERMINAL = {FINISHED = true, FAILED = true, CANCELED = true}
