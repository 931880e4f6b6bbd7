"""The settings of a worker: its section, and those of the server and the queue."""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any, TypedDict

from attrs import Attribute, field, frozen
from attrs.validators import in_, optional

from fairque.protocol.config import FairnessSection, Loadable, LogSection, QueueSection, RedisSection, Seconds, seconds
from fairque.protocol.config.validators import between, duration, matches, positive
from fairque.protocol.model.task import ISOLATIONS, Isolation
from fairque.protocol.safe_repr import safe_repr
from fairque.protocol.service.settings import given_settings, own_name, several

__all__ = ["WorkerOptions", "WorkerSection", "WorkerSettings", "settings_from_url"]


def _names(_: object, attribute: "Attribute[Any]", value: object) -> None:
    if not isinstance(value, tuple) or not all(isinstance(name, str) for name in value):
        raise ValueError(f"{attribute.name}: must be a list of names of modules, found {safe_repr(value)}")


def _below_lease(options: "WorkerSection", attribute: "Attribute[float]", value: float) -> None:
    positive(options, attribute, value)
    if not 0 < value <= options.lease / 2:
        raise ValueError(
            f"{attribute.name}: must be above 0 and at most half of lease ({options.lease:g}), "
            f"so that one lost heartbeat loses no task; it is {value:g}"
        )


@frozen(kw_only=True)
class WorkerSection:
    """The section ``worker:`` of the configuration.

    Attributes:
        name: Name of this worker in records and logs; by default host, process and a random part.
        modules: Python modules with task functions. `Worker.start` imports them. For the command one may be
            ``MODULE:ATTR``, a task handler.
        concurrency: How many tasks run at a time.
        lease: Seconds without a heartbeat until other workers get the tasks of this one.
        heartbeat: Seconds between two heartbeats: at most half of the lease, a third is a good choice.
        stop_timeout: Seconds that running tasks may continue after the signal to stop, before they are released.
        isolation: Where tasks run that do not set it themselves: ``thread``, or ``process`` for child processes.
        cancel_timeout: Seconds that a task may clean up after a request to stop: then its child process is killed, and
            a coroutine that exceeds its timeout is left behind.
        max_abandoned: How many threads and coroutines that continued after their timeout may still run. With more the
            worker takes no more tasks and ends, to be restarted.
        http_host: The address on which it serves ``/livez``, ``/readyz`` and ``/metrics``.
        http_port: The port for them; None serves nothing, 0 takes a free port. With several processes (``--processes``)
            the first one has this port, the second one the next, and so on.

    Raises:
        ValueError: A value is out of its range; the message names the field.
    """

    name: str = field(
        factory=own_name,
        validator=matches(r"[^\x00-\x1f\x7f]{1,128}", "1 to 128 characters without control characters"),
    )
    modules: tuple[str, ...] = field(default=(), converter=several, validator=_names)
    concurrency: int = field(default=16, validator=between(1, 10_000))
    lease: Seconds = field(default=30.0, converter=seconds, validator=duration)
    heartbeat: Seconds = field(default=10.0, converter=seconds, validator=_below_lease)
    stop_timeout: Seconds = field(default=25.0, converter=seconds, validator=between(0, 86_400))
    isolation: Isolation = field(default="thread", validator=in_(ISOLATIONS))
    cancel_timeout: Seconds = field(default=5.0, converter=seconds, validator=between(0, 86_400))
    max_abandoned: int = field(default=16, validator=between(0, 10_000))
    http_host: str = field(default="127.0.0.1", validator=matches(r"\S+", "the address of a network interface"))
    http_port: int | None = field(default=None, validator=optional(between(0, 65_535)))


class WorkerOptions(TypedDict, total=False):
    """The keyword arguments of `Worker.from_url`: the fields of `WorkerSection`."""

    name: str
    modules: Iterable[str]
    concurrency: int
    lease: float | timedelta
    heartbeat: float | timedelta
    stop_timeout: float | timedelta
    isolation: Isolation
    cancel_timeout: float | timedelta
    max_abandoned: int
    http_host: str
    http_port: int | None


@frozen(kw_only=True)
class WorkerSettings(Loadable):
    """All settings of a worker.

    Attributes:
        redis: The server.
        queue: The queue.
        worker: The worker's own section.
        log: What the command writes to standard error.
        fairness: Limits of users, which it applies to a queue that has none, or after the server has lost data.
    """

    redis: RedisSection = field(factory=RedisSection)
    queue: QueueSection = field(factory=QueueSection)
    worker: WorkerSection = field(factory=WorkerSection)
    log: LogSection = field(factory=LogSection)
    fairness: FairnessSection = field(factory=FairnessSection)


def settings_from_url(url: str, queue: str, options: Mapping[str, Any]) -> WorkerSettings:
    """Return the settings with these values and options, which are fields of `WorkerSection`, and defaults otherwise.

    Raises:
        ConfigurationError: Some are invalid; the message names all of them.
        TypeError: There is no such option.
    """
    return given_settings(WorkerSettings, url, queue, "worker", options)
