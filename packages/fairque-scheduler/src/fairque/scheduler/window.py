"""The schedules that are due soon, in memory: they are read, and their tasks created, ahead of time."""

import heapq
from collections.abc import Container, Iterable

from attrs import define, field

from fairque.protocol.calls.fire import Move, move
from fairque.protocol.model.schedule_infos import ScheduleInfo
from fairque.protocol.model.schedule_times import time_after
from fairque.scheduler.misfires import next_step

__all__ = ["Entry", "Window"]


@define(eq=False)
class Entry:
    """The next run of one schedule.

    Attributes:
        schedule_id: The schedule.
        at: When it is due, in milliseconds since the epoch.
        not_before: When it is retried at the earliest, since there was no room for its task, or others have their turn.
        late: Whether it catches up, in many steps, and so must wait until there is nothing else to do.
        info: The schedule as it was read; None before.
        ready: The prepared move, which applies if it is on time.
    """

    schedule_id: str
    at: int
    info: ScheduleInfo | None = None
    ready: Move | None = None
    not_before: int = 0
    late: bool = False

    @property
    def turn(self) -> int:
        """When it is fired or retried."""
        return max(self.at, self.not_before)

    def is_late(self, now_ms: int) -> bool:
        """Whether its run is so late that the policy for misfires decides about it."""
        info = self.info
        return info is not None and info.next_ms is not None and info.next_ms < now_ms - info.schedule.misfire_grace_ms

    def prepare(self) -> Move:
        """Compute the following run, create the task, and return the move for a run that is on time.

        Raises:
            FairqueError: The definition cannot be run here.
        """
        info = self._read()
        if info.next_ms is not None:
            following, fire_at = time_after(info.schedule, info.next_ms), info.next_ms
        else:
            following, fire_at = None if info.from_ms is None else time_after(info.schedule, info.from_ms), None
        self.ready = move(info.schedule, info.revision, time=info.next_ms, following=following, fire_at=fire_at)
        return self.ready

    def move(self, now_ms: int) -> Move:
        """Return the move for the present time.

        Raises:
            FairqueError: The definition cannot be run here.
        """
        info = self._read()
        if info.next_ms is None or not self.is_late(now_ms):
            return self.ready or self.prepare()
        step = next_step(info.schedule, info.next_ms, now_ms)
        return move(
            info.schedule,
            info.revision,
            time=info.next_ms,
            following=step.following,
            fire_at=step.fire_at,
            missed=step.missed,
            missed_last=step.missed_last,
        )

    def _read(self) -> ScheduleInfo:
        if self.info is None:
            raise AssertionError(f"schedule {self.schedule_id} was not read")
        return self.info


@define
class Window:
    """The due and the next runs. A place in a heap is valid if it matches the entry that `find` returns."""

    _entries: dict[str, Entry] = field(factory=dict)
    _heap: list[tuple[int, str]] = field(factory=list)
    #: Those that catch up.
    _late: list[tuple[int, str]] = field(factory=list)
    #: In the order of time, as they were read; entries that become due are prepared first.
    _unprepared: dict[str, None] = field(factory=dict)

    def __len__(self) -> int:
        return len(self._entries)

    def clear(self) -> None:
        """Remove everything."""
        self._entries.clear()
        self._heap.clear()
        self._late.clear()
        self._unprepared.clear()

    def replace(self, times: Iterable[tuple[str, int]], late: Container[str] = ()) -> None:
        """Hold exactly these schedules. Entries with the same time keep what is prepared, and their postponement.

        A prepared move of a schedule that has changed is refused by its revision, and the schedule is read again.

        Args:
            times: The schedules, and when they are due.
            late: Those that catch up.
        """
        before, self._entries = self._entries, {}
        self._heap, self._late, self._unprepared = [], [], {}
        for schedule_id, at in times:
            known = before.get(schedule_id)
            if known is None or known.at != at:
                known = Entry(schedule_id, at, late=schedule_id in late)
            self.put(known)

    def put(self, entry: Entry) -> None:
        """Add an entry, replacing any other of its schedule."""
        self._entries[entry.schedule_id] = entry
        heapq.heappush(self._late if entry.late else self._heap, (entry.turn, entry.schedule_id))
        if entry.ready is None:
            self._unprepared[entry.schedule_id] = None

    def drop(self, schedule_id: str) -> None:
        """Remove a schedule."""
        self._entries.pop(schedule_id, None)
        self._unprepared.pop(schedule_id, None)

    def find(self, schedule_id: str) -> Entry | None:
        """Return the entry of a schedule."""
        return self._entries.get(schedule_id)

    def next_at(self) -> int | None:
        """Return the time of the first entry; None if there is none."""
        first = [turn for turn in map(self._first, (self._heap, self._late)) if turn is not None]
        return min(first, default=None)

    def take_due(self, now_ms: int, most: int) -> list[Entry]:
        """Take due entries, the earliest first, and those that catch up last; `find` still returns them."""
        # By schedule: one that got another time and then its old one again is in the heap twice.
        taken: dict[str, Entry] = {}
        for heap in (self._heap, self._late):
            while len(taken) < most and (first := self._first(heap)) is not None and first <= now_ms:
                _, schedule_id = heapq.heappop(heap)
                taken[schedule_id] = self._entries[schedule_id]
        return list(taken.values())

    def unprepared(self, most: int) -> list[Entry]:
        """Return entries that are not prepared, the earliest first, and treat them as prepared."""
        names = [name for name, _ in zip(self._unprepared, range(most), strict=False)]
        for name in names:
            del self._unprepared[name]
        return [self._entries[name] for name in names]

    def put_off(self, entry: Entry) -> None:
        """Let an entry be prepared later."""
        self._unprepared[entry.schedule_id] = None

    def _first(self, heap: list[tuple[int, str]]) -> int | None:
        while heap and not self._counts(*heap[0]):
            heapq.heappop(heap)
        return heap[0][0] if heap else None

    def _counts(self, turn: int, schedule_id: str) -> bool:
        entry = self._entries.get(schedule_id)
        return entry is not None and entry.turn == turn
