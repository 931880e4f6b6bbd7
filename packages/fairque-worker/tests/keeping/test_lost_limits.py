"""A worker restores the limits of its file when the server has lost them, and continues."""

from typing import Any

import pytest
from attrs import evolve

from fairque.protocol.calls.users import read_configured
from fairque.protocol.config import FairnessSection
from fairque.protocol.model.limits import Limits
from fairque.protocol.runners import Runner
from fairque.testing.internal import eventually
from fairque.worker import FunctionTaskHandler, Worker
from fairque.worker.keeping import leases as heart

LIMITS = FairnessSection(user_defaults=Limits(cap=5), users={"ann": Limits(weight=2.0)})
APPLIED = {"": {"cap": 5.0}, "ann": {"weight": 2.0}}


def test_limits_are_restored_after_the_queue_was_lost_and_the_worker_continues(
    bench: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heart, "LIMITS_CHECK_SECONDS", 0.1)
    settings = evolve(bench.settings(), fairness=LIMITS)
    runner = Runner(settings.redis)

    def limits() -> Any:
        return runner.run(read_configured(bench.keys)).users

    worker = Worker(settings, FunctionTaskHandler())
    worker.start()
    try:
        eventually(lambda: limits() == APPLIED, what="the limits")
        bench.client.delete(*bench.client.scan_iter(f"{bench.keys.prefix}*"))
        eventually(lambda: limits() == APPLIED, what="the limits again")
        eventually(lambda: runner.run(read_configured(bench.keys)).edition.born > 0, what="a new queue")
    finally:
        worker.stop()
        runner.close()
