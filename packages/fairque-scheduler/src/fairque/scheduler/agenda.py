"""The work of a leader: reads which schedules are due soon, prepares their runs, and fires them in batches on time."""

from collections import Counter
from collections.abc import Iterator, Sequence

from attrs import evolve

from fairque.protocol import clock
from fairque.protocol.calls.fire import Fired, Firing, Move, fire
from fairque.protocol.calls.schedules import MAX_DUE, due, read_some
from fairque.protocol.calls.verify import verify_schedules
from fairque.protocol.errors import ProtocolError
from fairque.protocol.model.schedule_infos import ScheduleInfo
from fairque.protocol.runners import Runner
from fairque.protocol.wire.keys import QueueKeys
from fairque.protocol.wire.status import Status
from fairque.scheduler.log import log
from fairque.scheduler.metrics import Metrics
from fairque.scheduler.serverclock import ServerClock
from fairque.scheduler.window import Entry, Window

__all__ = ["Agenda"]

#: Milliseconds that it reads ahead: time to prepare many runs that are due together.
_AHEAD_MS = 10_000
#: Seconds between two readings of what is due, and the fewest after a change.
_READ_SECONDS, _MIN_READ_SECONDS = 5.0, 0.05
#: Schedules that are enough work, and the most pages of them in one reading.
_ENOUGH, _MAX_PAGES = MAX_DUE // 2, 20
#: Schedules that are fired, or read, in one round trip.
_FIRE_BATCH, _READ_BATCH = 400, 200
#: Most schedules and bytes of one script, during which the server does nothing else.
_PER_SCRIPT, _MAX_SCRIPT_BYTES = 100, 1_048_576
#: Schedules whose last fired run is remembered.
_REMEMBERED = 100_000
#: Seconds of computing, after which it checks again whether something else is due.
_SLICE = 0.01


class Agenda:
    """The next runs of the schedules of a queue, in the order of their times.

    Args:
        runner: The server.
        keys: The queue.
        keep_ms: Retention of a schedule without further runs.
        metrics: The metrics to update.
    """

    def __init__(self, runner: Runner, keys: QueueKeys, keep_ms: int, metrics: Metrics) -> None:
        self._runner, self._keys, self._keep_ms, self._metrics = runner, keys, keep_ms, metrics
        self._clock = ServerClock()
        self._window = Window()
        #: Schedules that cannot be run, and when they were due, so that each is reported once.
        self._broken: dict[str, int] = {}
        #: Missed runs of schedules that have not caught up.
        self._missed: Counter[str] = Counter()
        #: Moves of a term that were sent, by their schedules, until it is known whether they were applied.
        self._unsettled: dict[str, tuple[int, Move]] = {}
        #: The last fired runs: after a restore of older data the server no longer knows them.
        self._last_fired_at: dict[str, int] = {}
        self._read_at = 0.0
        self._until_ms = 0
        self._full = False
        self._stale = True

    def outdate(self) -> None:
        """Note that something changed."""
        self._stale = True

    def clear(self) -> None:
        """Drop everything, to read it from the server again."""
        self._window.clear()
        self._stale = True

    def wants_reading(self) -> bool:
        """Whether it is time to read again what is due."""
        return clock.monotonic() >= self._next_reading()

    def seconds_to_rest(self) -> float:
        """Return the seconds without work, if nothing is due and everything is prepared."""
        rest, next_at = self._next_reading() - clock.monotonic(), self._window.next_at()
        return max(0.0, rest if next_at is None else min(rest, self._clock.seconds_until(next_at)))

    def read(self) -> None:
        """Read which schedules are due soon."""
        if self._stale:
            self._stale = False
            self._broken.clear()
        times: dict[str, int] = {}
        overdue = active = pages = 0
        full = True
        # Schedules that wait for room, or cannot be run, must not hide later ones.
        while full and active < _ENOUGH and pages < _MAX_PAGES:
            sent = clock.monotonic()
            found = self._runner.run(due(self._keys, ahead_ms=_AHEAD_MS, most=MAX_DUE, skip=pages * MAX_DUE))
            self._read_at = clock.monotonic()
            self._clock.note(found.at_ms, sent, self._read_at)
            pages += 1
            times.update(found.times)
            overdue += sum(at <= found.at_ms for _, at in found.times)
            active += sum(not self._held_back(name, at, found.at_ms) for name, at in found.times)
            full = len(found.times) == MAX_DUE
        self._metrics.due.set(overdue)
        # If there are more, others may be due at the last time, too: they are read after these.
        self._full = full
        self._until_ms = found.times[-1][1] if full else found.at_ms + _AHEAD_MS
        self._window.replace(
            ((name, at) for name, at in times.items() if self._broken.get(name) != at), late=self._missed
        )

    def prepare(self) -> bool:
        """Create tasks ahead of their runs, for a moment; return whether there was anything to do."""
        entries = self._window.unprepared(_READ_BATCH)
        self._read_infos(entries)
        until = clock.monotonic() + _SLICE
        for entry in entries:
            if self._window.find(entry.schedule_id) is not entry:
                continue
            if clock.monotonic() > until:
                self._window.put_off(entry)
                continue
            try:
                entry.prepare()
            except Exception as error:  # noqa: BLE001 - see _refuse
                self._refuse(entry, error)
        return bool(entries)

    def fire(self, term: int) -> bool | None:
        """Fire what is due, in one round trip; return whether there was anything, or None if a later term has begun."""
        self._settle()
        entries = self._window.take_due(self._clock.now_ms(), _FIRE_BATCH)
        self._read_infos(entries)
        moves = self._moves(entries)
        if not moves:
            return bool(entries)
        parts = list(_parts(moves))
        calls = [fire(self._keys, [move for _, move in part], term=term, result_ttl_ms=self._keep_ms) for part in parts]
        self._unsettled = {move.schedule_id: (term, move) for _, move in moves if move.time is not None}
        sent = clock.monotonic()
        answers: list[Firing] = self._runner.run_all(calls)
        received = clock.monotonic()
        for part, answer in zip(parts, answers, strict=True):
            if answer.later_term is None:
                self._clock.note(answer.at_ms, sent, received)
                self._apply(part, answer)
        return None if any(answer.later_term is not None for answer in answers) else True

    def _held_back(self, schedule_id: str, at: int, now_ms: int) -> bool:
        entry = self._window.find(schedule_id)
        waits = entry is not None and entry.at == at and (entry.late or entry.not_before > now_ms)
        return waits or schedule_id in self._missed or self._broken.get(schedule_id) == at

    def _next_reading(self) -> float:
        if self._stale or (self._full and len(self._window) < _ENOUGH):
            return self._read_at + _MIN_READ_SECONDS
        return self._read_at + _READ_SECONDS

    def _moves(self, entries: Sequence[Entry]) -> list[tuple[Entry, Move]]:
        moves: list[tuple[Entry, Move]] = []
        now_ms, until = self._clock.now_ms(), clock.monotonic() + _SLICE
        # Those that catch up take long, and must not delay the others.
        for entry in sorted(entries, key=lambda entry: entry.is_late(now_ms)):
            if self._window.find(entry.schedule_id) is not entry:
                continue
            if moves and clock.monotonic() > until:
                entry.late = entry.is_late(now_ms)
                self._window.put(entry)
                continue
            try:
                moves.append((entry, entry.move(now_ms)))
            except Exception as error:  # noqa: BLE001 - see _refuse
                self._refuse(entry, error)
        return moves

    def _apply(self, part: Sequence[tuple[Entry, Move]], answer: Firing) -> None:
        for (entry, move), fired in zip(part, answer.fired, strict=True):
            # Another scheduler has applied it, or this one, whose first answer was lost.
            if fired.code != Status.ALREADY:
                self._unsettled.pop(move.schedule_id, None)
                self._count(move, fired, answer.at_ms)
            self._continue(entry, fired)

    def _settle(self) -> None:
        """Count moves whose answer was lost, if the schedules show that they were applied."""
        while self._unsettled:
            names = list(self._unsettled)[:_READ_BATCH]
            try:
                infos, count = self._runner.run(read_some(self._keys, names))
            except ProtocolError:
                infos, count = (), len(names)
            for info in infos:
                (term, move), done = self._unsettled[info.schedule_id], info.moved
                if done is not None and (done.term, done.revision, done.time) == (term, move.revision, move.time):
                    self._count(move, Fired(Status(done.code), info.next_ms, 0), done.at_ms)
            for name in names[:count]:
                del self._unsettled[name]

    def _continue(self, entry: Entry, fired: Fired) -> None:
        name = entry.schedule_id
        if fired.code == Status.CHANGED:
            # It may still be due at the same time: it is read again at once.
            self._window.put(Entry(name, entry.at))
        elif fired.code == Status.NOT_FOUND:
            self._missed.pop(name, None)
            self._window.drop(name)
        elif fired.code == Status.EARLY:
            self._window.put(entry)
        elif fired.code == Status.FULL:
            log.warning("too many tasks wait, a schedule waits too", schedule=name, seconds=fired.pause_ms / 1000)
            self._window.put(evolve(entry, not_before=self._clock.now_ms() + fired.pause_ms))
        elif fired.next_at is None or fired.next_at > self._until_ms or entry.info is None:
            self._window.drop(name)
        else:
            following = Entry(name, fired.next_at, evolve(entry.info, next_ms=fired.next_at, from_ms=None))
            now_ms = self._clock.now_ms()
            if following.is_late(now_ms):
                following.late, following.not_before = True, now_ms
            self._window.put(following)

    def _count(self, move: Move, fired: Fired, at_ms: int) -> None:
        metrics = self._metrics
        if fired.code == Status.OK and move.fire_at is not None:
            metrics.fired.inc()
            metrics.lateness.observe((at_ms - move.fire_at) / 1000)
            self._remember(move.schedule_id, move.fire_at)
        elif fired.code == Status.SKIPPED:
            metrics.skipped.inc()
        if move.missed and fired.code in (Status.OK, Status.SKIPPED, Status.ALREADY):
            metrics.missed.inc(move.missed)
            self._missed[move.schedule_id] += move.missed
            # Only after it has caught up, which may take many steps.
            if fired.next_at is None or fired.next_at > at_ms:
                number = self._missed.pop(move.schedule_id)
                log.warning("missed times", schedule=move.schedule_id, number=number)

    def _remember(self, schedule_id: str, time: int) -> None:
        """Note that a run was fired, and log it if it was fired before."""
        last = self._last_fired_at.pop(schedule_id, 0)
        if time <= last:
            # The runs between the two will follow.
            why = "times are fired again: the server has older data, in which they were not fired yet"
            log.warning(why, schedule=schedule_id, first=time, last=last)
        self._last_fired_at[schedule_id] = time
        if len(self._last_fired_at) > _REMEMBERED:
            del self._last_fired_at[next(iter(self._last_fired_at))]

    def _read_infos(self, entries: Sequence[Entry]) -> None:
        """Read the schedules of entries that are not read yet."""
        unknown = {entry.schedule_id: entry for entry in entries if entry.info is None}
        names = list(unknown)
        while names:
            part = names[:_READ_BATCH]
            try:
                infos, count = self._runner.run(read_some(self._keys, part))
            except ProtocolError:
                infos, count = (), len(part)
                for name in part:
                    try:
                        infos += self._runner.run(read_some(self._keys, [name]))[0]
                    except ProtocolError as error:
                        self._refuse(unknown[name], error)
            found = {info.schedule_id: info for info in infos}
            dropped = [name for name in part[:count] if not self._store_info(unknown[name], found.get(name))]
            self._verify_and_fix([name for name in dropped if self._broken.get(name) != unknown[name].at])
            names = names[count:]

    def _store_info(self, entry: Entry, info: ScheduleInfo | None) -> bool:
        """Store what was read of a schedule; return whether it may fire."""
        at = None if info is None else _due_at(info)
        if info is None or at is None or info.paused:
            self._window.drop(entry.schedule_id)
            return False
        if at == entry.at:
            entry.info = info
        else:
            # It has changed since its due time was read.
            self._window.put(Entry(entry.schedule_id, at, info))
        return True

    def _verify_and_fix(self, names: Sequence[str]) -> None:
        """Verify schedules that are due but cannot fire. Most were just removed; others may be damaged."""
        if not names:
            return
        for finding in self._runner.run(verify_schedules(self._keys, names, fix=True)):
            name = finding.name
            hint = f"if it is gone, add it again; what cannot be read is kept for 14 days in broken:schedule:{name}"
            log.warning("a damaged schedule was fixed", schedule=name, problem=finding.what, hint=hint)

    def _refuse(self, entry: Entry, error: Exception) -> None:
        """Continue without a schedule that cannot be run, so that others are not affected."""
        log.error("a schedule cannot be carried out", schedule=entry.schedule_id, error=str(error))
        self._broken[entry.schedule_id] = entry.at
        self._window.drop(entry.schedule_id)


def _due_at(info: ScheduleInfo) -> int | None:
    """Return its place among due schedules: before all others while its next run has not been computed."""
    return info.next_ms or info.forgotten_ms or (None if info.from_ms is None else 0)


def _parts(moves: Sequence[tuple[Entry, Move]]) -> Iterator[list[tuple[Entry, Move]]]:
    """Split a batch so that no script takes long."""
    part: list[tuple[Entry, Move]] = []
    size = 0
    for entry, move in moves:
        if part and (len(part) == _PER_SCRIPT or size + move.size > _MAX_SCRIPT_BYTES):
            yield part
            part, size = [], 0
        part.append((entry, move))
        size += move.size
    yield part
