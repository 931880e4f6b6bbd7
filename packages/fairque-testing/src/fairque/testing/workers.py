"""Workers in the process of a test."""

from typing import Any

from fairque.worker import Worker

__all__ = ["WorkerFixture"]


class WorkerFixture:
    """Runs the tasks of a queue in the process of the test.

    Args:
        url: URL of the server.
        queue: Name of the queue.
    """

    def __init__(self, url: str, queue: str) -> None:
        self._url = url
        self._queue = queue

    def run(self, *modules: str, **options: Any) -> None:
        """Run tasks until none is runnable.

        Tasks that wait for a delay, a retry or a limit stay in the queue. Task functions that the test has imported
        need no module.

        Args:
            modules: Names of modules to import, as for the command ``fairque-worker``.
            options: Fields of `WorkerSection`, such as ``concurrency`` or ``isolation``.

        Raises:
            CannotImport: A module cannot be imported; the error says why.
            ConfigurationError: An option is invalid; the message names it.
            FairqueError: The worker crashed.
        """
        Worker.from_url(self._url, queue=self._queue, burst=True, modules=modules, **options).run()
