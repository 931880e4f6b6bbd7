"""The schedules that are due soon, in memory: read, and their tasks made, ahead of their times."""

import heapq
from collections.abc import Iterable

from attrs import define, field

from fairque.protocol.calls import Move, move
from fairque.protocol.model.schedule_infos import ScheduleInfo
from fairque.protocol.model.schedule_times import time_after
from fairque.scheduler.misfires import next_step

__all__ = ["Entry", "Window"]


@define(eq=False)
class Entry:
    """One schedule of the window.

    Attributes:
        schedule_id: Which schedule.
        at: When there is something to do for it, in milliseconds since the epoch.
        not_before: It is tried then at the earliest, since there was no room for its task.
        info: What was read of it; None until it is.
        ready: What is to be done if that is in time.
    """

    schedule_id: str
    at: int
    info: ScheduleInfo | None = None
    ready: Move | None = None
    not_before: int = 0

    @property
    def turn(self) -> int:
        """When it is tried."""
        return max(self.at, self.not_before)

    def prepare(self) -> Move:
        """Compute the time after the next one, make the task, and return what is to be done in time.

        Raises:
            FairqueError: The definition cannot be carried out here.
        """
        info = self._read()
        if info.next_ms is not None:
            following, fire_at = time_after(info.schedule, info.next_ms), info.next_ms
        else:
            following, fire_at = None if info.from_ms is None else time_after(info.schedule, info.from_ms), None
        self.ready = move(info.schedule, info.revision, time=info.next_ms, following=following, fire_at=fire_at)
        return self.ready

    def move(self, now_ms: int) -> Move:
        """Return what is to be done now.

        Raises:
            FairqueError: The definition cannot be carried out here.
        """
        info = self._read()
        if info.next_ms is None or info.next_ms >= now_ms - info.schedule.misfire_grace_ms:
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
    """Which schedules are due, and which come next. Of its entries those count that `find` finds at their time."""

    _entries: dict[str, Entry] = field(factory=dict)
    _heap: list[tuple[int, str]] = field(factory=list)
    #: In the order of time, since they were read so; what is due meanwhile is prepared first.
    _unprepared: dict[str, None] = field(factory=dict)

    def __len__(self) -> int:
        return len(self._entries)

    def clear(self) -> None:
        """Forget everything."""
        self._entries.clear()
        self._heap.clear()
        self._unprepared.clear()

    def replace(self, times: Iterable[tuple[str, int]]) -> None:
        """Hold these schedules and no others. Where the time is the same, what is prepared and put off stays so.

        What is prepared for a schedule that was changed meanwhile is refused by its revision, and read again then.
        """
        before, self._entries = self._entries, {}
        self._heap, self._unprepared = [], {}
        for schedule_id, at in times:
            known = before.get(schedule_id)
            self.put(known if known is not None and known.at == at else Entry(schedule_id, at))

    def put(self, entry: Entry) -> None:
        """Hold an entry, in the place of another one for its schedule."""
        self._entries[entry.schedule_id] = entry
        heapq.heappush(self._heap, (entry.turn, entry.schedule_id))
        if entry.ready is None:
            self._unprepared[entry.schedule_id] = None

    def drop(self, schedule_id: str) -> None:
        """Forget a schedule."""
        self._entries.pop(schedule_id, None)
        self._unprepared.pop(schedule_id, None)

    def find(self, schedule_id: str) -> Entry | None:
        """Return the entry of a schedule."""
        return self._entries.get(schedule_id)

    def next_at(self) -> int | None:
        """Return when the first one is tried; None when there is none."""
        while self._heap and not self._counts(*self._heap[0]):
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def take_due(self, now_ms: int, most: int) -> list[Entry]:
        """Take the entries out of the order of time that are due, the earliest first; they stay to be found."""
        # By their schedules: one that got another time and its old one again stands there twice.
        taken: dict[str, Entry] = {}
        while len(taken) < most and (first := self.next_at()) is not None and first <= now_ms:
            _, schedule_id = heapq.heappop(self._heap)
            taken[schedule_id] = self._entries[schedule_id]
        return list(taken.values())

    def unprepared(self, most: int) -> list[Entry]:
        """Return entries that are not prepared, the earliest first, and take them for prepared."""
        names = [name for name, _ in zip(self._unprepared, range(most), strict=False)]
        for name in names:
            del self._unprepared[name]
        return [self._entries[name] for name in names]

    def put_off(self, entry: Entry) -> None:
        """Let an entry be prepared later."""
        self._unprepared[entry.schedule_id] = None

    def _counts(self, turn: int, schedule_id: str) -> bool:
        entry = self._entries.get(schedule_id)
        return entry is not None and entry.turn == turn
