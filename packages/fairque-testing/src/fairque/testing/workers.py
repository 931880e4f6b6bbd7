"""Workers in the process of a test."""

from typing import Any

from fairque.worker import Worker

__all__ = ["WorkerFixture"]


class WorkerFixture:
    """Runs the tasks of a queue in the process of the test.

    Args:
        url: Of the server.
        queue: Its name.
    """

    def __init__(self, url: str, queue: str) -> None:
        self._url = url
        self._queue = queue

    def run(self, *modules: str, **options: Any) -> None:
        """Run tasks until nothing is left that can be started.

        What waits for a delay, a retry or a limit stays in the queue. Task functions that the test has imported need
        no module.

        Args:
            modules: Names of the modules to import, as the command ``fairque-worker`` has them.
            options: Fields of `WorkerSection`, such as ``concurrency`` or ``isolation``.

        Raises:
            CannotImport: A module cannot be imported; the error says why.
            ConfigurationError: An option cannot be used; the message names it.
            FairqueError: The worker crashed.
        """
        Worker.from_url(self._url, queue=self._queue, burst=True, modules=modules, **options).run()
