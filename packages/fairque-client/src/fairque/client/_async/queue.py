"""The queue for producers: push tasks, wait for results, cancel, and read statistics."""

import os
from collections.abc import AsyncIterator, Iterable
from datetime import timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar, overload

from fairque.client._async import gathering
from fairque.client._async.handle import AsyncTaskHandle
from fairque.client._async.pipelines import AsyncPipelineHandle
from fairque.client.arguments import UNCHANGED, Unchanged, configuration, task_named
from fairque.client.functions import TaskMaker
from fairque.client.link import AsyncLink
from fairque.client.pushing import BatchPrefetcher, batches_of, one_batch, raising_partial_push
from fairque.client.settings import ClientSettings, settings_from_config, settings_from_url
from fairque.protocol.calls.push import Batch, Pushed
from fairque.protocol.limits import CostMode
from fairque.protocol.locks import import_lock
from fairque.protocol.model.infos import QueueInfo
from fairque.protocol.model.pipeline import Pipeline
from fairque.protocol.model.task import Task

if TYPE_CHECKING:
    from fairque.client._async.dead_letters import AsyncDeadLetters
    from fairque.client._async.schedules import AsyncSchedules
    from fairque.client._async.tasks import AsyncTasks
    from fairque.client._async.users import AsyncUsers

__all__ = ["AsyncTaskQueue"]

R = TypeVar("R")


class AsyncTaskQueue:
    """A queue for producers. It connects on first use.

    Threads may share a synchronous queue. An asynchronous queue belongs to the event loop on which it is first used.

    Every method may raise `RedisUnavailable` if the server does not answer, `ServerUnsuitable` if the server is not
    suitable for a queue, and `FairqueError` after `close` or on another event loop, such as that of a second
    ``asyncio.run``.

    Args:
        settings: The server and the queue; the defaults if omitted.

    Attributes:
        settings: The settings in use.
    """

    def __init__(self, settings: ClientSettings | None = None) -> None:
        self.settings = settings or ClientSettings()
        self._link = AsyncLink(self.settings)

    @classmethod
    def from_url(cls, url: str, *, queue: str = "default", default_user_id: str | None = None) -> Self:
        """Create a queue object from the URL of a server; see `ClientSettings` for all other settings.

        Args:
            url: ``redis://``, ``rediss://``, ``unix://`` or ``embedded://``.
            queue: Name of the queue.
            default_user_id: User of tasks without a user.

        Raises:
            ConfigurationError: An argument is invalid; the message says which and why.
        """
        return cls(settings_from_url(url, queue=queue, default_user_id=default_user_id))

    @classmethod
    def from_config(
        cls, path: str | os.PathLike[str], *, queue: str | None = None, default_user_id: str | None = None
    ) -> Self:
        """Create a queue object from a configuration file; environment variables ``FAIRQUE_SECTION_KEY`` override it.

        Args:
            path: A YAML file; reading it needs ``fairque-client[yaml]``.
            queue: Name of the queue; None for the one in the file.
            default_user_id: User of tasks without a user; None for the one in the file.

        Raises:
            ConfigurationError: With all problems of the file, each with file and line.
        """
        return cls(settings_from_config(path, queue=queue, default_user_id=default_user_id))

    @property
    def tasks(self) -> "AsyncTasks":
        """Its tasks, in bulk."""
        with import_lock:
            from fairque.client._async.tasks import AsyncTasks

        return AsyncTasks(self._link)

    @property
    def users(self) -> "AsyncUsers":
        """The limits and the usage of its users, and why they wait."""
        with import_lock:
            from fairque.client._async.users import AsyncUsers

        return AsyncUsers(self._link)

    @property
    def dead_letters(self) -> "AsyncDeadLetters":
        """Tasks that failed finally: to inspect, retry or delete."""
        with import_lock:
            from fairque.client._async.dead_letters import AsyncDeadLetters

        return AsyncDeadLetters(self._link)

    @property
    def schedules(self) -> "AsyncSchedules":
        """Its schedules."""
        with import_lock:
            from fairque.client._async.schedules import AsyncSchedules

        return AsyncSchedules(self._link)

    @overload
    async def push(self, task: Task[R], *, user_id: str | None = None) -> AsyncTaskHandle[R]: ...
    @overload
    async def push(self, task: Pipeline[R], *, user_id: str | None = None) -> AsyncPipelineHandle[R]: ...
    async def push(
        self, task: Task[Any] | Pipeline[Any], *, user_id: str | None = None
    ) -> AsyncTaskHandle[Any] | AsyncPipelineHandle[Any]:
        """Store a task, or all tasks of a pipeline, and return its handle once the server has stored them.

        Pushing the same task twice stores it once. If another task holds the ``dedup_key``, its handle is returned.

        Args:
            task: ``function.task(...)``, `Task(func=...)`, or a pipeline of at most 1,000 tasks, ``a >> [b, c]``.
            user_id: The user of all tasks without a user. If None, they get the user of the tasks they depend on, or
                the default user.

        Raises:
            InvalidTask: The task cannot be pushed; the message says why. Nothing was sent.
            UnknownDependency: It depends on a task, or uses the output of one, that the queue does not know. Nothing
                was stored.
            BatchTooLarge: The pipeline has too many tasks, more than 4 MiB, or more than 10,000 dependencies. Nothing
                was sent.
            TaskConflict: Its id was already pushed with different content.
            QueueFull: The backlog of its user or of the queue is full, or the server is out of memory. Nothing was
                stored.
        """
        # First the fast test: that of an abstract class is slow.
        if type(task) is not Task and isinstance(task, Pipeline):
            batch = one_batch(self.settings, task.tasks.values(), user_id)
            return AsyncPipelineHandle(self._link, task, await self._push(batch))
        (handle,) = await self._push(one_batch(self.settings, (task,), user_id))
        return handle

    async def push_many(
        self, tasks: Iterable[Task[R]], *, user_id: str | None = None, chunked: bool = False
    ) -> list[AsyncTaskHandle[R]]:
        """Store tasks in one atomic call, all or none, and return their handles in the same order.

        Args:
            tasks: At most 1,000 tasks, with 4 MiB and 10,000 dependencies in total.
            user_id: As for `push`.
            chunked: Accept any number of tasks and send as many calls as needed. Each call is atomic, the whole is not;
                so a task must come after those it depends on.

        Raises:
            BatchTooLarge: There are too many without ``chunked``. Nothing was sent.
            InvalidTask: A task cannot be pushed; the message says why. Nothing was sent.
            TaskConflict: The id of a task was already pushed with different content. Nothing was stored.
            QueueFull: The backlog of a user or of the queue is full, or the server is out of memory. Nothing was
                stored.
            PartialPush: With ``chunked``, one of these errors or another one occurred after the first chunk.
        """
        handles: list[AsyncTaskHandle[R]] = []
        if not chunked:
            given = tuple(tasks)
            return await self._push(one_batch(self.settings, given, user_id)) if given else handles
        with raising_partial_push(handles):
            ahead = BatchPrefetcher(batches_of(self.settings, tasks, user_id))
            while (batch := ahead.take()) is not None:
                # The server stores this batch while the next one is encoded.
                handles += self._handles(await self._link.push_while(batch, ahead.prepare))
        return handles

    @overload
    def task(self, task_id: str) -> AsyncTaskHandle[Any]: ...
    @overload
    def task(self, task_id: str, func: TaskMaker[Any, R, Any]) -> AsyncTaskHandle[R]: ...
    def task(self, task_id: str, func: TaskMaker[Any, Any, Any] | None = None) -> AsyncTaskHandle[Any]:
        """Return the handle of a task by its id, without contacting the server.

        If the task is unknown, the methods of the handle raise `TaskNotFound`.

        Args:
            task_id: The id of the task.
            func: Its function, from which type checkers infer the type of the result.

        Raises:
            InvalidTask: `task_id` is not a valid task id.
            TypeError: `task_id` is a function: the decorator ``@task`` is `fairque.client.task`.
        """
        return AsyncTaskHandle(self._link, task_named(task_id, func), known=False)

    def as_completed(
        self, handles: Iterable[AsyncTaskHandle[R]], *, timeout: float | timedelta | None = None
    ) -> AsyncIterator[AsyncTaskHandle[R]]:
        """Yield handles in the order in which their tasks end, starting with those that have already ended.

        Tasks are watched together, 1,000 per call, without polling. ``result`` of a yielded handle does not contact the
        server again, unless the task failed.

        Args:
            handles: Handles of this queue object. Handles of unknown tasks are yielded too; their ``result`` raises.
            timeout: Seconds or a timedelta from now within which all tasks must end; None waits forever.

        Raises:
            TimeoutError: While iterating, if some tasks have not ended in time; they continue.
            TypeError: An item is not a handle, or `timeout` is not a number of seconds or a timedelta.
            FairqueError: A handle belongs to another queue object.
        """
        return gathering.as_completed(self._link, handles, timeout)

    @overload
    async def gather(
        self,
        *handles: AsyncTaskHandle[R],
        timeout: float | timedelta | None = None,
        return_exceptions: Literal[False] = False,
    ) -> list[R]: ...
    @overload
    async def gather(
        self, *handles: AsyncTaskHandle[R], timeout: float | timedelta | None = None, return_exceptions: bool
    ) -> list[R | Exception]: ...
    async def gather(
        self,
        *handles: AsyncTaskHandle[R],
        timeout: float | timedelta | None = None,
        return_exceptions: bool = False,
    ) -> list[Any]:
        """Wait for tasks and return their results, in the order of the handles.

        Tasks are watched together, 1,000 per call, without polling.

        Args:
            *handles: Handles of this queue object.
            timeout: Seconds or a timedelta to wait for all of them; None waits forever.
            return_exceptions: Whether to return the error of a task without a result in place of the result.

        Raises:
            TaskFailed: A task failed. Raised as soon as that is known; the other tasks continue.
            TaskCanceled: A task was canceled.
            TaskNotFound: The queue does not know a task.
            ResultExpired: The record of a task has expired.
            TimeoutError: A task has not ended in time.
            TypeError: An argument is not a handle, or `timeout` is not a number of seconds or a timedelta.
            FairqueError: A handle belongs to another queue object.
        """
        return await gathering.gather(self._link, handles, timeout, return_exceptions=return_exceptions)

    async def info(self) -> QueueInfo:
        """Return the statistics and settings of the queue; each number is read in constant time."""
        with import_lock:
            from fairque.client.queue_steps import read_queue_info

        return await self._link.work(read_queue_info(self._link.keys))

    async def set(
        self, *, cost_mode: CostMode | Unchanged = UNCHANGED, backlog: int | Unchanged | None = UNCHANGED
    ) -> bool:
        """Change settings of the whole queue, in one atomic step, and return whether anything changed.

        Args:
            cost_mode: What a task costs its user: its run time (the default), or 1 per task. It can change only while
                no user has tasks or debts.
            backlog: Most waiting tasks of the queue; a push beyond it raises `QueueFull`. None removes the limit.

        Raises:
            InvalidArgument: With a problem for each invalid value. Nothing was sent.
            Conflict: The cost mode cannot change now. Nothing was changed.
        """
        return await self._link.run(configuration(self._link.keys, cost_mode, backlog))

    async def close(self) -> None:
        """Close all connections; waits raise `FairqueError`, calls that are under way end. Safe to call twice."""
        await self._link.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._link.keys.name!r}, {self.settings.redis!r})"

    async def _push(self, batch: Batch) -> list[AsyncTaskHandle[Any]]:
        return self._handles(await self._link.push(batch))

    def _handles(self, answers: Iterable[Pushed]) -> list[AsyncTaskHandle[Any]]:
        return [AsyncTaskHandle(self._link, pushed.task_id, known=True) for pushed in answers]
