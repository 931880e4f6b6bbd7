"""The queue as a producer sees it: push tasks, get back to them, cancel them, read the numbers."""

import os
from collections.abc import AsyncIterator, Iterable
from datetime import timedelta
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar, overload

from fairque.client._async import gathering
from fairque.client._async.handle import AsyncTaskHandle
from fairque.client._async.pipelines import AsyncPipelineHandle
from fairque.client.arguments import UNCHANGED, Unchanged, configuration, task_named
from fairque.client.functions import TaskMaker
from fairque.client.link import AsyncLink
from fairque.client.pushing import PushCall, carrying, one_push, pushes
from fairque.client.settings import ClientSettings, settings_from_config, settings_from_url
from fairque.protocol.limits import CostMode
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
    """A queue for producers. It connects at the first use.

    Threads may share a synchronous one. An asynchronous one belongs to the event loop on which it is first used.

    Every method may raise `RedisUnavailable` when the server does not answer, `ServerUnsuitable` when it must not
    hold a queue, and `FairqueError` after `close`, or on another event loop such as that of a second ``asyncio.run``.

    Args:
        settings: The server and the queue; all defaults when left out.

    Attributes:
        settings: The settings in use.
    """

    def __init__(self, settings: ClientSettings | None = None) -> None:
        self.settings = settings or ClientSettings()
        self._link = AsyncLink(self.settings)

    @classmethod
    def from_url(cls, url: str, *, queue: str = "default", default_user_id: str | None = None) -> Self:
        """Make a queue object from the address of a server; `ClientSettings` has what else can be set.

        Args:
            url: ``redis://``, ``rediss://``, ``unix://`` or ``embedded://``.
            queue: Name of the queue.
            default_user_id: User of the tasks that name none.

        Raises:
            ConfigurationError: One of them cannot be used; the message says which and why.
        """
        return cls(settings_from_url(url, queue=queue, default_user_id=default_user_id))

    @classmethod
    def from_config(
        cls, path: str | os.PathLike[str], *, queue: str | None = None, default_user_id: str | None = None
    ) -> Self:
        """Make a queue object from a configuration file; ``FAIRQUE_SECTION_KEY`` in the environment wins over it.

        Args:
            path: A YAML file; reading it needs ``fairque-client[yaml]``.
            queue: Name of the queue; None takes that of the file.
            default_user_id: User of the tasks that name none; None takes that of the file.

        Raises:
            ConfigurationError: With every problem of the file, each with its place.
        """
        return cls(settings_from_config(path, queue=queue, default_user_id=default_user_id))

    @cached_property
    def tasks(self) -> "AsyncTasks":
        """Its tasks, many at a time."""
        from fairque.client._async.tasks import AsyncTasks

        return AsyncTasks(self._link)

    @cached_property
    def users(self) -> "AsyncUsers":
        """What its users may use, what they got, and why they wait."""
        from fairque.client._async.users import AsyncUsers

        return AsyncUsers(self._link)

    @cached_property
    def dead_letters(self) -> "AsyncDeadLetters":
        """Tasks that failed for good: to look at, to run again, to forget."""
        from fairque.client._async.dead_letters import AsyncDeadLetters

        return AsyncDeadLetters(self._link)

    @cached_property
    def schedules(self) -> "AsyncSchedules":
        """Its schedules, to be read, paused and removed."""
        from fairque.client._async.schedules import AsyncSchedules

        return AsyncSchedules(self._link)

    @overload
    async def push(self, task: Task[R], *, user_id: str | None = None) -> AsyncTaskHandle[R]: ...
    @overload
    async def push(self, task: Pipeline[R], *, user_id: str | None = None) -> AsyncPipelineHandle[R]: ...
    async def push(
        self, task: Task[Any] | Pipeline[Any], *, user_id: str | None = None
    ) -> AsyncTaskHandle[Any] | AsyncPipelineHandle[Any]:
        """Store a task, or all tasks of a pipeline, and return its handle; when this returns, the server has them.

        The same task again is stored once. With a ``dedup_key`` that another task holds, that task's handle comes back.

        Args:
            task: ``function.task(...)``, `Task(func=...)`, or a pipeline of at most 1,000 tasks, ``a >> [b, c]``.
            user_id: The user of each of these tasks that names none; None leaves it to the tasks on which they depend,
                and to the default user.

        Raises:
            InvalidTask: It cannot be pushed, for the reason that the error names. Nothing was sent.
            UnknownDependency: It depends on a task, or takes the output of one, that the queue does not know. Nothing
                was stored.
            BatchTooLarge: The pipeline has more tasks, more than 4 MiB, or more than 10,000 dependencies. Nothing was
                sent.
            TaskConflict: Its id was pushed before with other content.
            QueueFull: As many tasks wait as its user or the queue may have, or the server has no memory left. Nothing
                was stored.
        """
        if isinstance(task, Pipeline):
            call = one_push(self._link.keys, self.settings, task.tasks.values(), user_id)
            return AsyncPipelineHandle(self._link, task, await self._push(call))
        (handle,) = await self._push(one_push(self._link.keys, self.settings, (task,), user_id))
        return handle

    async def push_many(
        self, tasks: Iterable[Task[R]], *, user_id: str | None = None, chunked: bool = False
    ) -> list[AsyncTaskHandle[R]]:
        """Store tasks in one atomic call, all or none, and return their handles in the same order.

        Args:
            tasks: At most 1,000, with 4 MiB and 10,000 dependencies together.
            user_id: As for `push`.
            chunked: Take any number, in as many calls as it needs. Each is atomic, all together are not; so tasks stand
                behind those that they depend on.

        Raises:
            BatchTooLarge: They are more, and not ``chunked``. Nothing was sent.
            InvalidTask: One cannot be pushed, for the reason that the error names. Nothing was sent.
            TaskConflict: The id of one was pushed before with other content. Nothing was stored.
            QueueFull: As many tasks wait as its user or the queue may have, or the server has no memory left. Nothing
                was stored.
            PartialPush: With ``chunked``: one of these errors, or another, came after the first chunk.
        """
        handles: list[AsyncTaskHandle[R]] = []
        if not chunked:
            batch = tuple(tasks)
            call = one_push(self._link.keys, self.settings, batch, user_id) if batch else None
            return handles if call is None else await self._push(call)
        with carrying(handles):
            for call in pushes(self._link.keys, self.settings, tasks, user_id):
                handles += await self._push(call)
        return handles

    @overload
    def task(self, task_id: str) -> AsyncTaskHandle[Any]: ...
    @overload
    def task(self, task_id: str, func: TaskMaker[Any, R, Any]) -> AsyncTaskHandle[R]: ...
    def task(self, task_id: str, func: TaskMaker[Any, Any, Any] | None = None) -> AsyncTaskHandle[Any]:
        """Return the handle of a task by its id. Nothing is sent: an unknown task shows when the handle is used.

        Args:
            task_id: The task.
            func: Its function, which tells type checkers what the task results in.

        Raises:
            InvalidTask: It cannot be the id of a task.
            TypeError: It is a function: ``@task``, with which one decorates, is `fairque.client.task`.
        """
        return AsyncTaskHandle(self._link, task_named(task_id, func), known=False)

    def as_completed(
        self, handles: Iterable[AsyncTaskHandle[R]], *, timeout: float | timedelta | None = None
    ) -> AsyncIterator[AsyncTaskHandle[R]]:
        """Give handles in the order in which their tasks end; those that have ended already come first.

        The server is asked about all of them together, 1,000 in one call, and reports each ending. The ``result`` of a
        handle that was given asks it nothing more, unless the task failed.

        Args:
            handles: Handles of this queue object. One whose task is not known is given too: its ``result`` says so.
            timeout: Seconds or a timedelta to wait for all of them, from now on; None waits forever.

        Raises:
            TimeoutError: While iterating: some have not ended in that time; they continue.
            TypeError: One of them is not a handle, or the timeout is not a number of seconds or a timedelta.
            FairqueError: One of them belongs to another queue object.
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

        The server is asked about all of them together, 1,000 in one call, and reports each ending.

        Args:
            *handles: Handles of this queue object.
            timeout: Seconds or a timedelta to wait for all of them; None waits forever.
            return_exceptions: Return the error of a task without a result in its place, instead of raising it.

        Raises:
            TaskFailed: One ended in an error. The others continue. It is raised as soon as that is known.
            TaskCanceled: One was canceled.
            TaskNotFound: One is not known.
            ResultExpired: The record of one is gone.
            TimeoutError: One has not ended in that time.
            TypeError: One of them is not a handle, or the timeout is not a number of seconds or a timedelta.
            FairqueError: One of them belongs to another queue object.
        """
        return await gathering.gather(self._link, handles, timeout, return_exceptions=return_exceptions)

    async def info(self) -> QueueInfo:
        """Return the queue in numbers, each read in constant time."""
        from fairque.client.queue_steps import reading_queue

        return await self._link.work(reading_queue(self._link.keys))

    async def set(
        self, *, cost_mode: CostMode | Unchanged = UNCHANGED, backlog: int | Unchanged | None = UNCHANGED
    ) -> bool:
        """Set how the queue behaves for all, in one atomic step, and return whether anything was not so before.

        Args:
            cost_mode: What a task costs its user: its time, as it is unless set, or one each. It can change only while
                no user has tasks or debts.
            backlog: Most waiting tasks of the queue. A push above it is a `QueueFull`. None takes it back.

        Raises:
            InvalidArgument: With every value that cannot be used. Nothing was sent.
            Conflict: The cost mode cannot change now. Nothing was changed.
        """
        return await self._link.run(configuration(self._link.keys, cost_mode, backlog))

    async def close(self) -> None:
        """Close all connections; who waits for a result gets an error. Safe to call twice."""
        await self._link.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._link.keys.name!r}, {self.settings.redis!r})"

    async def _push(self, call: PushCall) -> list[AsyncTaskHandle[Any]]:
        pushed = await self._link.run(call)
        return [AsyncTaskHandle(self._link, one.task_id, known=True) for one in pushed]
