"""The faults. Each is a generator: it starts the fault, yields the seconds until it continues, and ends the fault."""

import random
import signal
import time
from collections.abc import Callable, Generator
from functools import partial
from pathlib import Path
from typing import Any

from attrs import define

from chaos.actors import END_SECONDS, ProducerActor, WorkerActor
from chaos.history import Journal
from chaos.plan import Plan
from chaos.proxy import Proxies, Proxy, Way
from chaos.recorder import Recorder
from chaos.server import Server

__all__ = ["ALONE", "NEMESES", "Nemesis", "World"]

#: An active fault; it yields the seconds until it continues.
Nemesis = Generator[float, None, None]

_STEP = 0.05
_LOOK_SECONDS = 6.0
#: How long a call may take to be repeated.
_REPEAT_SECONDS = 60.0
_TRIES = 4


@define(kw_only=True, eq=False)
class World:
    """Everything that faults can hit."""

    folder: Path
    plan: Plan
    server: Server
    proxies: Proxies
    workers: list[WorkerActor]
    producers: list[ProducerActor]
    journal: Journal
    draw: random.Random

    def begins(self, name: str, **about: Any) -> None:
        self.journal.note("nemesis", name=name, phase="begins", **about)

    def ends(self, name: str, **about: Any) -> None:
        self.journal.note("nemesis", name=name, phase="ends", **about)

    def victim(self) -> WorkerActor | None:
        """A worker that may be hit: it is running a task, and another worker can take that over."""
        ready = [worker for worker in self.workers if worker.ready]
        holding = [worker for worker in ready if worker.proxy.recorder.holds_for_long()]
        return self.draw.choice(holding) if holding and len(ready) > 1 else None


def _found_victim(world: World) -> Generator[float, None, WorkerActor | None]:
    until = time.monotonic() + _LOOK_SECONDS
    while (victim := world.victim()) is None and time.monotonic() < until:
        yield _STEP
    return victim


def _kill(world: World) -> Nemesis:
    """SIGKILL a worker while it runs tasks."""
    victim = yield from _found_victim(world)
    if victim is None:
        return
    world.begins("kill", victim=victim.name, worker=victim.worker)
    victim.kill()


def _pause(world: World) -> Nemesis:
    """SIGSTOP a worker for one to three leases: when it wakes, another worker runs its tasks, or has run them."""
    victim = yield from _found_victim(world)
    if victim is None:
        return
    victim.busy = True
    world.begins("pause", victim=victim.name, worker=victim.worker)
    victim.signal(signal.SIGSTOP)
    yield world.draw.uniform(1.1, 3) * world.plan.lease
    victim.signal(signal.SIGCONT)
    world.ends("pause", victim=victim.name, worker=victim.worker)
    yield 1.0
    victim.busy = False


def _restart(world: World) -> Nemesis:
    """Kill the server, and restart it on its append-only file."""
    world.begins("restart")
    world.server.kill()
    yield 0.3
    world.server.start()
    world.ends("restart")


def _flush(world: World) -> Nemesis:
    """Make the server forget all scripts."""
    world.begins("flush")
    world.server.admin.script_flush()
    yield _STEP
    world.ends("flush")


def _client_kill(world: World) -> Nemesis:
    """Make the server close all connections of all actors."""
    world.begins("client-kill")
    world.server.admin.client_kill_filter(_type="normal", skipme=True)
    yield _STEP
    world.ends("client-kill")


def _out_of_memory(world: World) -> Nemesis:
    """Limit the server's memory until a push was refused and the queue continued to drain."""
    pushing = [producer.proxy.recorder for producer in world.producers]
    working = [worker.proxy.recorder for worker in world.workers]
    world.begins("out-of-memory")
    for _ in range(_TRIES):
        yield from _found_victim(world)  # its task ends while there is no memory
        refused, finished = _total(pushing, "OOM"), _total(working, "finish")
        with world.server.little_memory():
            for _ in range(int(_LOOK_SECONDS / _STEP)):
                yield _STEP
                if _total(pushing, "OOM") > refused and _total(working, "finish") > finished:
                    world.ends("out-of-memory")
                    return
    world.ends("out-of-memory")


def _total(recorders: list[Recorder], name: str) -> int:
    return sum(recorder.seen.get(name, 0) for recorder in recorders)


def _drop(script: str, world: World) -> Nemesis:
    """Let a call run, but drop its reply. If the actor does not make such a call in time, the next one is chosen."""
    for _ in range(_TRIES):
        if script == "push":
            actor: ProducerActor | WorkerActor | None = world.draw.choice(world.producers)
        else:
            actor = yield from _found_victim(world)
        if actor is not None and (yield from _dropped(script, actor, world)):
            return


def _dropped(script: str, actor: ProducerActor | WorkerActor, world: World) -> Generator[float, None, bool]:
    name = f"drop-{script}"
    actor.busy = True  # an actor that another fault ends does not repeat the call
    world.begins(name, victim=actor.name)
    actor.proxy.drop_replies(script)
    yield _STEP
    for _ in range(int(_LOOK_SECONDS / _STEP)):
        if dropped := not actor.proxy.drops_left(script):
            break
        yield _STEP
    # On a busy machine the actor may take long to repeat the call, and another fault must not come before that.
    yield _STEP  # the answer that was dropped is counted by now
    answered = actor.proxy.recorder.seen.get(script, 0)
    for _ in range(int(_REPEAT_SECONDS / _STEP)):
        if not dropped or actor.proxy.recorder.seen.get(script, 0) > answered:
            break
        yield _STEP
    actor.proxy.drop_replies(script, 0)
    world.ends(name, victim=actor.name)
    yield 1.0
    actor.busy = False
    return dropped


def _network(name: str, hurt: Callable[[Proxy], None], repair: Callable[[Proxy], None], leases: float) -> Any:
    def nemesis(world: World) -> Nemesis:
        victim = yield from _found_victim(world)
        if victim is None:
            return
        victim.busy = True
        world.begins(name, victim=victim.name, worker=victim.worker)
        hurt(victim.proxy)
        yield leases * world.plan.lease
        repair(victim.proxy)
        world.ends(name, victim=victim.name, worker=victim.worker)
        yield 1.0
        victim.busy = False

    return nemesis


def _late(proxy: Proxy, seconds: float) -> None:
    proxy.delay_s = seconds


def _roll(world: World) -> Nemesis:
    """Stop all workers gracefully, one after the other, as a deployment does."""
    working = [worker.proxy.recorder for worker in world.workers]
    given_back = _total(working, "release")
    world.begins("roll")
    for _ in range(_TRIES):
        for worker in world.workers:
            yield from _replace(world, worker)
        if _total(working, "release") > given_back:
            break
    world.ends("roll")


def _replace(world: World, worker: WorkerActor) -> Nemesis:
    while not worker.ready:
        yield _STEP
    for _ in range(int(_LOOK_SECONDS / _STEP)):
        if worker.proxy.recorder.holds_for_long():
            break
        yield _STEP
    name = worker.worker
    worker.busy = True
    worker.stop()
    until = time.monotonic() + END_SECONDS
    while worker.code_of(name) is None and time.monotonic() < until:
        yield _STEP
    world.journal.note("stopped", worker=name, code=worker.code_of(name))
    worker.busy = False
    yield 2 * _STEP


def _promote(world: World) -> Nemesis:
    """Synchronize a replica while no actor writes, promote it, and kill the old primary."""
    world.begins("promote")
    old = world.server
    folder = world.folder / f"server-{time.time_ns()}"
    replica = Server(folder, world.plan.persistence, replica_of=old.port)
    while not replica.caught_up_with(old):
        yield _STEP
    old.admin.client_pause(5_000, all=False)
    while not replica.caught_up_with(old):
        time.sleep(0.01)
    replica.promote()
    world.server, world.proxies.target = replica, replica.port
    old.close()
    (world.folder / "primary").write_text(folder.name)
    world.ends("promote")


#: All of them, by name.
NEMESES: dict[str, Callable[[World], Nemesis]] = {
    "kill": _kill,
    "pause": _pause,
    "restart": _restart,
    "flush": _flush,
    "client-kill": _client_kill,
    "out-of-memory": _out_of_memory,
    "drop-push": partial(_drop, "push"),
    "drop-pop": partial(_drop, "pop"),
    "drop-finish": partial(_drop, "finish"),
    "cut": _network("cut", lambda p: p.set_way(Way.CUT), lambda p: p.set_way(Way.OPEN), 1.0),
    "blackhole": _network("blackhole", lambda p: p.set_way(Way.BLACKHOLE), lambda p: p.set_way(Way.OPEN), 2.0),
    "half-open": _network("half-open", lambda p: p.set_way(Way.HALF_OPEN), lambda p: p.set_way(Way.OPEN), 1.0),
    "delay": _network("delay", lambda p: _late(p, 0.2), lambda p: _late(p, 0.0), 2.0),
    "roll": _roll,
    "promote": _promote,
}

#: Those that hit all actors, and so run only if no other fault is active.
ALONE = {"restart", "roll", "promote", "out-of-memory"}
