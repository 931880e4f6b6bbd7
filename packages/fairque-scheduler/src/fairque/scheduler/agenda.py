"""What a leader does: reads which schedules are due soon, prepares them, and fires them in batches at their times."""

from collections import Counter
from collections.abc import Iterator, Sequence

from attrs import evolve

from fairque.protocol import clock
from fairque.protocol.calls import Fired, Firing, Move, due, fire, read_some, verify_schedules
from fairque.protocol.calls.schedules import MAX_DUE
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

#: Milliseconds that it looks ahead: time to prepare many that are due together.
_AHEAD_MS = 10_000
#: Seconds after which it reads again what is due, and after which it may when something changed.
_READ_AGAIN, _BREATH = 5.0, 0.05
#: Schedules that are work enough, and pages of them that are read in one go at most.
_ENOUGH, _PAGES = MAX_DUE // 2, 20
#: Schedules that are fired in one round trip, and read in one.
_FIRED, _READ = 400, 200
#: Schedules and bytes of one script, during which the server does nothing else.
_PER_SCRIPT, _BYTES = 100, 1_048_576
#: Schedules of which it is remembered which time was fired last.
_REMEMBERED = 100_000
#: Seconds of computing, after which it looks again whether something else is due.
_SLICE = 0.01


class Agenda:
    """The schedules of a queue in the order of their times, as far as they are near.

    Args:
        runner: The server.
        keys: The queue.
        keep_ms: How long a schedule is kept that has no further times.
        metrics: Where it counts.
    """

    def __init__(self, runner: Runner, keys: QueueKeys, keep_ms: int, metrics: Metrics) -> None:
        self._runner, self._keys, self._keep_ms, self._metrics = runner, keys, keep_ms, metrics
        self._clock = ServerClock()
        self._window = Window()
        #: Those that cannot be carried out, and when they were due, so that they are reported once.
        self._broken: dict[str, int] = {}
        #: Missed times of schedules that have not caught up.
        self._missed: Counter[str] = Counter()
        #: Moves of a term that were sent, by their schedules, until it is known whether they were carried out.
        self._unsettled: dict[str, tuple[int, Move]] = {}
        #: The times that were fired last: the server does not know them any more after it has got older data back.
        self._fired: dict[str, int] = {}
        self._read_at = 0.0
        self._until_ms = 0
        self._full = False
        self._stale = True

    def outdate(self) -> None:
        """Take in that something changed."""
        self._stale = True

    def clear(self) -> None:
        """Forget everything: the server has the truth."""
        self._window.clear()
        self._stale = True

    def wants_reading(self) -> bool:
        """Whether it is time to read again what is due."""
        return clock.monotonic() >= self._next_reading()

    def seconds_to_rest(self) -> float:
        """Return for how long there is nothing to do, once nothing is due and all is prepared."""
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
        # Those that wait for room, or cannot be carried out, must not hide what stands behind them.
        while full and active < _ENOUGH and pages < _PAGES:
            asked = clock.monotonic()
            found = self._runner.run(due(self._keys, ahead_ms=_AHEAD_MS, most=MAX_DUE, skip=pages * MAX_DUE))
            self._read_at = clock.monotonic()
            self._clock.hear(found.at_ms, asked, self._read_at)
            pages += 1
            times.update(found.times)
            overdue += sum(at <= found.at_ms for _, at in found.times)
            active += sum(not self._held_back(name, at, found.at_ms) for name, at in found.times)
            full = len(found.times) == MAX_DUE
        self._metrics.due.set(overdue)
        # Where there are more, the last time may be that of others, too: they come when these are done.
        self._full = full
        self._until_ms = found.times[-1][1] if full else found.at_ms + _AHEAD_MS
        self._window.replace((name, at) for name, at in times.items() if self._broken.get(name) != at)

    def prepare(self) -> bool:
        """Make tasks ahead of their times, for a moment; return whether there was anything to do."""
        entries = self._window.unprepared(_READ)
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
        """Fire what is due, in one round trip; return whether there was anything, or None when a later term rules."""
        self._settle()
        entries = self._window.take_due(self._clock.now_ms(), _FIRED)
        self._read_infos(entries)
        moves = self._moves(entries)
        if not moves:
            return bool(entries)
        parts = list(_parts(moves))
        calls = [fire(self._keys, [one for _, one in part], term=term, result_ttl_ms=self._keep_ms) for part in parts]
        self._unsettled = {one.schedule_id: (term, one) for _, one in moves if one.time is not None}
        asked = clock.monotonic()
        answers: list[Firing] = self._runner.run_all(calls)
        heard = clock.monotonic()
        for part, answer in zip(parts, answers, strict=True):
            if answer.ruling is None:
                self._clock.hear(answer.at_ms, asked, heard)
                self._take_in(part, answer)
        return None if any(answer.ruling is not None for answer in answers) else True

    def _held_back(self, schedule_id: str, at: int, now_ms: int) -> bool:
        entry = self._window.find(schedule_id)
        waits = entry is not None and entry.at == at and entry.not_before > now_ms
        return waits or self._broken.get(schedule_id) == at

    def _next_reading(self) -> float:
        if self._stale or (self._full and len(self._window) < _ENOUGH):
            return self._read_at + _BREATH
        return self._read_at + _READ_AGAIN

    def _moves(self, entries: Sequence[Entry]) -> list[tuple[Entry, Move]]:
        moves: list[tuple[Entry, Move]] = []
        now_ms, until = self._clock.now_ms(), clock.monotonic() + _SLICE
        for entry in entries:
            if self._window.find(entry.schedule_id) is not entry:
                continue
            if moves and clock.monotonic() > until:
                # Some were away for long; the others wait for no more than a moment.
                self._window.put(entry)
                continue
            try:
                moves.append((entry, entry.move(now_ms)))
            except Exception as error:  # noqa: BLE001 - see _refuse
                self._refuse(entry, error)
        return moves

    def _take_in(self, part: Sequence[tuple[Entry, Move]], answer: Firing) -> None:
        for (entry, one), fired in zip(part, answer.fired, strict=True):
            # Somebody else did it, or this scheduler and the first answer was lost.
            if fired.code != Status.ALREADY:
                self._unsettled.pop(one.schedule_id, None)
                self._count(one, fired, answer.at_ms)
            self._continue(entry, fired)

    def _settle(self) -> None:
        """Count what was sent and is not counted, as far as the schedules say that it was carried out."""
        while self._unsettled:
            names = list(self._unsettled)[:_READ]
            try:
                infos, told = self._runner.run(read_some(self._keys, names))
            except ProtocolError:
                infos, told = (), len(names)
            for info in infos:
                (term, one), done = self._unsettled[info.schedule_id], info.moved
                if done is not None and (done.term, done.revision, done.time) == (term, one.revision, one.time):
                    self._count(one, Fired(Status(done.code), info.next_ms, 0), done.at_ms)
            for name in names[:told]:
                del self._unsettled[name]

    def _continue(self, entry: Entry, fired: Fired) -> None:
        name = entry.schedule_id
        if fired.code == Status.CHANGED:
            # Its time may be the same as before, and is come: it is read again at once.
            self._window.put(Entry(name, entry.at))
        elif fired.code == Status.NOT_FOUND:
            self._window.drop(name)
        elif fired.code == Status.EARLY:
            self._window.put(entry)
        elif fired.code == Status.FULL:
            log.warning("too many tasks wait, a schedule waits too", schedule=name, seconds=fired.pause_ms / 1000)
            self._window.put(evolve(entry, not_before=self._clock.now_ms() + fired.pause_ms))
        elif fired.next_at is None or fired.next_at > self._until_ms or entry.info is None:
            self._window.drop(name)
        else:
            info = evolve(entry.info, next_ms=fired.next_at, from_ms=None)
            self._window.put(Entry(name, fired.next_at, info))

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
            # Not before it has caught up, which may take many steps.
            if fired.next_at is None or fired.next_at > at_ms:
                number = self._missed.pop(move.schedule_id)
                log.warning("missed times", schedule=move.schedule_id, number=number)

    def _remember(self, schedule_id: str, time: int) -> None:
        """Take in that a time was fired, and say when it was fired before."""
        last = self._fired.pop(schedule_id, 0)
        if time <= last:
            # Those between the two follow, and are above the one before.
            why = "times are fired again: the server has older data, in which they were not fired yet"
            log.warning(why, schedule=schedule_id, first=time, last=last)
        self._fired[schedule_id] = time
        if len(self._fired) > _REMEMBERED:
            del self._fired[next(iter(self._fired))]

    def _read_infos(self, entries: Sequence[Entry]) -> None:
        """Read what is not known of the schedules of some entries."""
        unknown = {entry.schedule_id: entry for entry in entries if entry.info is None}
        names = list(unknown)
        while names:
            part = names[:_READ]
            try:
                infos, told = self._runner.run(read_some(self._keys, part))
            except ProtocolError:
                infos, told = (), len(part)
                for name in part:
                    try:
                        infos += self._runner.run(read_some(self._keys, [name]))[0]
                    except ProtocolError as error:
                        self._refuse(unknown[name], error)
            found = {info.schedule_id: info for info in infos}
            dropped = [name for name in part[:told] if not self._know(unknown[name], found.get(name))]
            self._fix([name for name in dropped if self._broken.get(name) != unknown[name].at])
            names = names[told:]

    def _know(self, entry: Entry, info: ScheduleInfo | None) -> bool:
        """Take in what was read of a schedule; return whether it is one that may fire."""
        at = None if info is None else _due_at(info)
        if info is None or at is None or info.paused:
            self._window.drop(entry.schedule_id)
            return False
        if at == entry.at:
            entry.info = info
        else:
            # It changed since it was read when it is due.
            self._window.put(Entry(entry.schedule_id, at, info))
        return True

    def _fix(self, names: Sequence[str]) -> None:
        """Look at schedules that are due and cannot fire. Most were just removed; of others the server says more."""
        if not names:
            return
        for one in self._runner.run(verify_schedules(self._keys, names, fix=True)):
            hint = f"if it is gone, add it again; what cannot be read is kept for 14 days in broken:schedule:{one.name}"
            log.warning("a damaged schedule was fixed", schedule=one.name, problem=one.what, hint=hint)

    def _refuse(self, entry: Entry, error: Exception) -> None:
        """Continue without a schedule that cannot be carried out, so that no other one suffers."""
        log.error("a schedule cannot be carried out", schedule=entry.schedule_id, error=str(error))
        self._broken[entry.schedule_id] = entry.at
        self._window.drop(entry.schedule_id)


def _due_at(info: ScheduleInfo) -> int | None:
    """Return where it stands among those that are due: before all times while its next one is to be computed."""
    return info.next_ms or info.forgotten_ms or (None if info.from_ms is None else 0)


def _parts(moves: Sequence[tuple[Entry, Move]]) -> Iterator[list[tuple[Entry, Move]]]:
    """Cut a batch so that no script takes long."""
    part: list[tuple[Entry, Move]] = []
    size = 0
    for one in moves:
        if part and (len(part) == _PER_SCRIPT or size + one[1].size > _BYTES):
            yield part
            part, size = [], 0
        part.append(one)
        size += one[1].size
    yield part
