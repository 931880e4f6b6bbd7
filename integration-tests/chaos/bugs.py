"""Bugs seeded into a copy of the scripts or of the worker, to show that the rules find them.

The checker must be able to fail.
"""

import re
import shutil
from pathlib import Path

from attrs import frozen

__all__ = ["BUGS", "WORKER_BUGS", "Bug", "broken_scripts", "broken_worker"]

_ROOT = Path(__file__).parents[2]
_LUA = _ROOT / "lua"
_QUICK_PATH = re.compile(r'^--- @include "quick_\w+"\n', re.MULTILINE)
_WORKER = _ROOT / "packages/fairque-worker/src/fairque/worker"


@frozen
class Bug:
    """One seeded bug.

    Attributes:
        name: Description of the bug.
        file: File in the folder of the scripts, or of the package of the worker.
        old: Text that occurs there exactly once.
        new: Its replacement.
        scenario: The scenario in which the bug has an effect.
        rule: The rule that finds it.
    """

    name: str
    file: str
    old: str
    new: str
    scenario: str
    rule: str


#: Where a quick pop looks at the user whose turn it is.
_TURN = """\
  if nexts[k] == 0 then
    local text = stored_users[k]
    if not text or #text ~= USER_SIZE then plain = false break end
    local S, served, since, ewma, inf, lane = struct.unpack(USER, text)
    plain = lane % SORTED == (k <= new and 1 or 2) and (k <= new or scores[first - 1] == S)"""

BUGS = (
    Bug(
        "no token is compared",
        "includes/finish.lua",
        'if r.state == "STARTED" and r.token == token then return 1 end',
        'if r.state == "STARTED" then return 1 end',
        "late_finish",
        "C4",
    ),
    Bug(
        "the token names the worker, not the attempt",
        "includes/attempts.lua",
        'r.state, r.token, r.charged = "STARTED", new_token(t, claim), charge',
        'r.state, r.token, r.charged = "STARTED", int(r.pushed_at) .. ":" .. worker, charge',
        "same_worker_again",
        "C1",
    ),
    Bug(
        "a pop grants no lease",
        "includes/attempts.lua",
        'add_to("running", lease_end, t.id)',
        "",
        "dead_worker",
        "C1",
    ),
    Bug(
        "a quick pop grants no lease",
        "includes/quick_grant.lua",
        'call("ZADD", P .. "running", unpack(leases))',
        "",
        "dead_worker",
        "C1",
    ),
    Bug(
        "a quick ending compares no token",
        "includes/quick_endings.lua",
        "    and #token == held and string.find(text, token, rest, true) == rest and after",
        "    and after",
        "late_finish",
        "C4",
    ),
    Bug(
        "a quick push does not check whether a task is new",
        "includes/quick_push_one.lua",
        'if read("EXISTS", key) ~= 0 or read("HEXISTS", P .. "a", id) ~= 0 then break end',
        "",
        "repeated_push",
        "C6",
    ),
    Bug(
        "a quick pop does not know a repeated claim",
        "includes/quick_pop.lua",
        'if before and (before.err or string.sub(before, 1, #claim + 1) == claim .. "\\n") then break end',
        "",
        "lost_tasks",
        "C5",
    ),
    Bug(
        "a quick pop forgets a counter",
        "includes/quick_grant.lua",
        "next_at, queued = math.min(next_at, now_ms + lease_ms), math.max(0, queued - number)",
        "next_at = math.min(next_at, now_ms + lease_ms)",
        "given_back",
        "C12",
    ),
    Bug(
        "a quick ending does not note when its task is to be deleted",
        "includes/quick_conclude.lua",
        "kept_at = math.min(kept_at, now_ms + ttl_ms)",
        "",
        "given_back",
        "C12",
    ),
    Bug(
        "a quick pop prefers a user",
        "includes/quick_turns.lua",
        _TURN,
        '  for place, name in ipairs(names) do if name == "noisy" then k = place end end\n'
        + _TURN.replace(" and (k <= new or scores[first - 1] == S)", ""),
        "noisy_user",
        "C11",
    ),
    Bug(
        "deliveries are counted only when a task ends",
        "includes/due.lua",
        "r.lost = (r.lost or 0) + 1",
        "r.lost = r.lost or 0",
        "deadly_parent",
        "C7",
    ),
    Bug(
        "attempts are counted only when they end",
        "includes/attempts.lua",
        "r.attempt, r.worker = (r.attempt or 0) + 1, worker",
        "r.attempt, r.worker = (r.settled and r.attempt or 0) + 1, worker",
        "deadly_parent",
        "C7",
    ),
    Bug(
        "a push writes before it has checked everything",
        "push.lua",
        'if dedup and state ~= "CANCELED" then keyed[dedup] = id end',
        'call("SET", P .. "t:" .. id, pack_head(BODY, here[id]))',
        "half_wrong_push",
        "C2",
    ),
    Bug(
        "a repeated push is executed again",
        "push.lua",
        "if known.state then\n",
        "if here[id] then\n",
        "repeated_push",
        "C6",
    ),
    Bug(
        "a push is not atomic",
        "push.lua",
        "for _, entry in ipairs(fresh) do store(entry, result_ttl_ms) end",
        "store(fresh[1], result_ttl_ms)",
        "given_up_push",
        "C14",
    ),
    Bug(
        "an acknowledged push is not stored whole",
        "push.lua",
        "for _, entry in ipairs(fresh) do store(entry, result_ttl_ms) end",
        "store(fresh[1], result_ttl_ms)",
        "lost_tasks",
        "C1",
    ),
    Bug(
        "a repeated pop returns other tasks",
        "pop.lua",
        'if record and string.sub(record, 1, #claim + 1) == claim .. "\\n" then',
        "if false then",
        "lost_tasks",
        "C5",
    ),
    Bug(
        "dependents are forgotten when the last lease expires",
        "includes/endings.lua",
        "if r.kids then",
        "if r.kids and not r.lost then",
        "deadly_parent",
        "C1",
    ),
    Bug(
        "a dependent runs although its parent failed",
        "includes/dependencies.lua",
        'local finished = r.state == "FINISHED" or not r.state and string.sub(ended, 1, 1) == "F"',
        "local finished = true",
        "child_of_a_failed_task",
        "C8",
    ),
    Bug(
        "a dependent does not wait for a running parent",
        "includes/dependencies.lua",
        "      open = open + 1",
        '      if parent.state ~= "STARTED" then open = open + 1 end',
        "child_of_a_running_task",
        "C8",
    ),
    Bug(
        "a lease is renewed beyond the timeout",
        "beat.lua",
        "if math.floor(started / 1000) + (r.timeout or 3600000) <= now_ms then",
        "if false then",
        "endless_task",
        "C5",
    ),
    Bug(
        "the clock of the worker decides",
        "pop.lua",
        "g.pop_at = now_ms\n",
        'if worker == "ahead" then now_ms = now_ms + 60000 end\ng.pop_at = now_ms\n',
        "wrong_clock",
        "C5",
    ),
    Bug(
        "an ended task is canceled",
        "cancel.lua",
        'if state ~= "SCHEDULED" and state ~= "QUEUED" and state ~= "DEFERRED" then return {2, state} end',
        "",
        "late_cancel",
        "C3",
    ),
    Bug(
        "a repeated ending counts again",
        "includes/finish.lua",
        'if r.state == "STARTED" and r.token == token then return 1 end',
        "if r.token == token then return 1 end",
        "lost_receipt",
        "C3",
    ),
    Bug(
        "a result is stored before the token is checked",
        "includes/finish.lua",
        "local code = holds(t, ARGV[first + 1])",
        "if #ARGV[first + 3] > 0 then\n"
        "      t.r.result = ARGV[first + 3]\n"
        "      will_write(t)\n"
        "    end\n"
        "    local code = holds(t, ARGV[first + 1])",
        "finish_after_the_end",
        "C9",
    ),
    Bug(
        "a released task has used up an attempt",
        "release.lua",
        "math.max(0, r.attempt - 1)",
        "r.attempt",
        "given_back",
        "C7",
    ),
    Bug(
        "users are served in the order of their names",
        "includes/pick.lua",
        "local function pick()\n",
        'local function pick()\n  if waits(user("noisy")) then return "noisy" end\n',
        "noisy_user",
        "C11",
    ),
    Bug(
        "a counter is forgotten",
        "includes/attempts.lua",
        'count("queued", -1)',
        "",
        "given_back",
        "C12",
    ),
    Bug(
        "lost tasks are found too late",
        "includes/due.lua",
        '"-inf", int(now_ms), "LIMIT", 0, most)',
        '"-inf", int(now_ms - 6000), "LIMIT", 0, most)',
        "dead_worker",
        "C13",
    ),
)


WORKER_BUGS = (
    Bug(
        "a lane keeps the endings until it leaves",
        "running/executor.py",
        "self._run(job, slot, self._on_short_end)",
        "kept = self.__dict__.setdefault('kept', {}).setdefault(id(slot), [])\n"
        "        self._run(job, slot, kept.append)\n"
        "        while kept and not self._lanes._queue:\n"
        "            self._on_short_end(kept.pop(0))",
        "short_tasks",
        "C1",
    ),
    Bug(
        "the queue of a retired lane is dropped",
        "running/lane.py",
        "self._queue.append(other)",
        "continue",
        "short_tasks",
        "C1",
    ),
    Bug(
        "a task that holds up others is not noticed",
        "running/lane.py",
        "self._retire(lane, job)",
        "self._seen_at = now",
        "short_tasks",
        "C1",
    ),
)


def broken_scripts(bug: Bug, folder: Path) -> Path:
    """Copy the scripts into a folder, seed a bug into one of them, and return the folder.

    A bug that is not in a quick path itself has its effect only without them.

    Raises:
        AssertionError: The text to replace does not occur exactly once.
    """
    copy = _broken(bug, _LUA, folder / "lua")
    if not bug.file.startswith("includes/quick_"):
        for path in copy.glob("*.lua"):
            path.write_text(_QUICK_PATH.sub("", path.read_text()))
    return copy


def broken_worker(bug: Bug, folder: Path) -> Path:
    """Copy the worker into a folder, seed a bug into one of its modules, and return the entry for the path of Python.

    Raises:
        AssertionError: The text to replace does not occur exactly once.
    """
    _broken(bug, _WORKER, folder / "python/fairque/worker")
    return folder / "python"


def _broken(bug: Bug, source: Path, copy: Path) -> Path:
    shutil.copytree(source, copy)
    path = copy / bug.file
    text = path.read_text()
    assert text.count(bug.old) == 1, f"{bug.file} has {text.count(bug.old)} places for the bug {bug.name!r}, not one"
    path.write_text(text.replace(bug.old, bug.new))
    return copy
