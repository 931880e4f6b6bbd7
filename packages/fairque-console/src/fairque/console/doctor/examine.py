"""The examination: runs all checks of the doctor against a server and a queue."""

import statistics
from collections.abc import Iterator

from fairque.console.doctor.findings import Diagnosis
from fairque.protocol.calls.read import QueueStats, read_stats
from fairque.protocol.calls.rights import rights
from fairque.protocol.clock import monotonic, now_ms
from fairque.protocol.config import QueueSection, RedisSection, mask_url
from fairque.protocol.errors import FairqueError, ProtocolError, RedisUnavailable, SchemaMismatch, ServerUnsuitable
from fairque.protocol.runners import Runner
from fairque.protocol.runners.answers import UNKNOWN_COMMAND
from fairque.protocol.runners.checks import CHECKS, Finding, findings_of, kind_of
from fairque.protocol.wire.keys import QueueKeys
from fairque.protocol.wire.rights import describe_needs, needs_of_role, remedy

__all__ = ["examine"]

_ROUND_TRIPS = 20
_SLOW_MS = 20.0
_SKEW_MS = 1_000


def examine(redis: RedisSection, queue: QueueSection, role: str) -> Diagnosis:
    """Examine a server and a queue. Changes nothing; problems are findings, not exceptions.

    Args:
        redis: The server.
        queue: The queue.
        role: The role whose rights are checked: one of `ROLES`, such as ``worker``.

    Raises:
        ConfigurationError: The URL is invalid.
    """
    examination = _Examination(redis, QueueKeys(queue.name), role)
    try:
        findings = sorted(examination.findings(), key=lambda finding: finding.severity != "error")
    finally:
        examination.runner.close()
    return Diagnosis(
        server=mask_url(redis.url),
        queue=queue.name,
        facts=examination.facts,
        findings=tuple(findings),
        passed=tuple(name for name in examination.checks if name not in {finding.check for finding in findings}),
    )


class _Examination:
    def __init__(self, redis: RedisSection, keys: QueueKeys, role: str) -> None:
        # Without the check by which other processes refuse an unsuitable server: the doctor reports what is wrong.
        self.runner = Runner(redis, check=False)
        self.facts: dict[str, str | int | float] = {}
        self.checks: list[str] = []
        self._redis = redis
        self._keys = keys
        self._role = role

    def findings(self) -> Iterator[Finding]:
        self.checks.append("reach")
        try:
            info = self.runner.info()
        except RedisUnavailable as error:
            yield _error("reach", str(error), "nothing works without the server", "see the finding itself")
            return
        except ServerUnsuitable as error:
            if not error.denied:
                yield _error("reach", str(error), "nothing works without the server", "see the finding itself")
                return
            yield _error("rights", str(error), "its state cannot be read", "ACL SETUSER USER +info")
            return
        self.facts["server"] = " ".join(kind_of(info))
        self.facts["used memory"] = str(info.get("used_memory_human", "unknown"))
        self.checks += CHECKS
        yield from findings_of(info, self._redis)
        if any(finding.check == "sentinel" for finding in findings_of(info, self._redis)):
            return
        self.checks.append("schema")
        try:
            stats = self.runner.run(read_stats(self._keys))
        except FairqueError as error:
            yield _of_queue(error)
            return
        yield from self._clock_and_latency()
        yield from self._rights()
        yield from self._records(stats)

    def _clock_and_latency(self) -> Iterator[Finding]:
        self.checks += ["clock", "latency"]
        call, times, skews = read_stats(self._keys), list[float](), list[float]()
        for _ in range(_ROUND_TRIPS):
            started_at, wall = monotonic(), now_ms()
            at_ms = self.runner.run(call).at_ms
            times.append((monotonic() - started_at) * 1000)
            skews.append(at_ms - wall - times[-1] / 2)
        latency, skew = statistics.median(times), statistics.median(skews)
        self.facts["round trip in ms"] = round(latency, 3)
        self.facts["clock of the server ahead by ms"] = round(skew)
        if latency > _SLOW_MS:
            yield _warning(
                "latency",
                f"a round trip takes {latency:.1f} ms",
                "each worker takes tasks and reports endings in round trips, so short tasks run slowly",
                "run the workers closer to the server; check redis-cli --latency and SLOWLOG GET",
            )
        if abs(skew) > _SKEW_MS:
            yield _warning(
                "clock",
                f"the clock of the server is {skew / 1000:+,.1f} s off the one here",
                "times and ages of tasks are by the server's clock, and look wrong here; leases are not affected",
                "synchronize both clocks: timedatectl set-ntp true",
            )

    def _rights(self) -> Iterator[Finding]:
        self.checks.append("rights")
        needs = needs_of_role(self._role)
        answers = self.runner.run(rights(self._keys, [need.probe for need in needs]))
        unknown = [need for need, allowed in zip(needs, answers, strict=True) if allowed is None]
        missing = [need for need, allowed in zip(needs, answers, strict=True) if allowed is False]
        if unknown:
            yield _error(
                "rights",
                f"no user may {describe_needs(unknown)}: the server does not have the command",
                "calls that need it are refused before they change anything",
                UNKNOWN_COMMAND.fix,
            )
        if missing:
            yield _error(
                "rights",
                f"the user may not {describe_needs(missing)}",
                "calls that need it are refused before they change anything",
                remedy(missing, self._keys.name),
            )

    def _records(self, stats: QueueStats) -> Iterator[Finding]:
        self.checks.append("records")
        if stats.broken:
            yield _warning(
                "records",
                f"{stats.broken:,} keys could not be read and were set aside since the queue was created",
                "another program has written to the keys of the queue, or there is a bug",
                f"inspect 'fairque:{{{self._keys.name}}}:broken:*', then: fairque verify --fix",
            )


def _of_queue(error: FairqueError) -> Finding:
    if isinstance(error, SchemaMismatch):
        return _error("schema", str(error), "all calls of this version are refused", "see the finding itself")
    if isinstance(error, ServerUnsuitable) and error.denied:
        fix = "ACL SETUSER USER ~fairque:* &fairque:* +evalsha +script|load +hmget +get +time +zcard +hgetall"
        return _error("rights", str(error), "scripts cannot be run", fix)
    if isinstance(error, ProtocolError):
        return _error("schema", str(error), "a key of the queue is damaged", "fairque verify --fix")
    return _error("reach", str(error), "calls are not answered", "check the log of the server")


def _error(check: str, what: str, why: str, fix: str) -> Finding:
    return Finding(check=check, severity="error", what=what, why=why, fix=fix)


def _warning(check: str, what: str, why: str, fix: str) -> Finding:
    return Finding(check=check, severity="warning", what=what, why=why, fix=fix)
