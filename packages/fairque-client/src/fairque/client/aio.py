"""The queue and its handles for asyncio: `TaskQueue` and `TaskHandle` with an await before each call."""

import os
from collections.abc import Iterable
from types import TracebackType
from typing import Any, Self, TypeVar, overload

from fairque.client.aio_handle import AsyncTaskHandle
from fairque.client.aio_many import as_completed, gather
from fairque.client.aio_pipelines import AsyncPipelineHandle
from fairque.client.control import UNCHANGED, Unchanged, configuration
from fairque.client.dead_letters import AsyncDeadLetters
from fairque.client.link import AsyncLink
from fairque.client.outcomes import CancelResult
from fairque.client.pushing import PushCall, carrying, one_push, pushes
from fairque.client.schedules import AsyncSchedules
from fairque.client.settings import ClientSettings, settings_from_url
from fairque.client.users import AsyncUsers
from fairque.protocol.calls import (
    CostMode,
    QueueStats,
    explain,
    read_stats,
)
from fairque.protocol.config import load_settings
from fairque.protocol.model.ids import check_id
from fairque.protocol.model.pipeline import Pipeline
from fairque.protocol.model.standing import TaskStanding, UserStanding
from fairque.protocol.model.task import Task

__all__ = ["AsyncTaskHandle", "AsyncTaskQueue", "as_completed", "gather"]

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)
T = TypeVar("T")


class AsyncTaskQueue:
    """A queue for producers on asyncio, for one event loop. It connects at the first use.

    Every method may raise `RedisUnavailable` when the server does not answer, `ServerUnsuitable` when it must not
    hold a queue, and `FairqueError` after `close` and on another event loop, such as that of a second ``asyncio.run``.

    Args:
        settings: The server and the queue; all defaults when left out.

    Attributes:
        settings: The same.
        users: What its users may use, what they got, and why they wait.
        dead_letters: Tasks that failed for good: to look at, to run again, to forget.
        schedules: Its schedules, to be read, paused and removed.
    """

    def __init__(self, settings: ClientSettings | None = None) -> None:
        self.settings = settings or ClientSettings()
        self._link = AsyncLink(self.settings)
        self.users = AsyncUsers(self._link)
        self.dead_letters = AsyncDeadLetters(self._link)
        self.schedules = AsyncSchedules(self._link)

    @classmethod
    def from_url(cls, url: str, *, name: str = "default", default_user_id: str | None = None) -> Self:
        """Make a queue object from the address of a server; `ClientSettings` has what else can be set.

        Args:
            url: ``redis://``, ``rediss://``, ``unix://`` or ``embedded://``.
            name: Name of the queue.
            default_user_id: User of the tasks that name none.

        Raises:
            ConfigurationError: One of them cannot be used; the message says which and why.
        """
        return cls(settings_from_url(url, name=name, default_user_id=default_user_id))

    @classmethod
    def from_config(cls, path: str | os.PathLike[str]) -> Self:
        """Make a queue object from a configuration file; ``FAIRQUE__SECTION__KEY`` in the environment wins over it.

        Args:
            path: A YAML file; reading it needs ``fairque-client[yaml]``.

        Raises:
            ConfigurationError: With every problem of the file, each with its place.
        """
        return cls(load_settings(path, ClientSettings))

    @overload
    async def push(self, task: Task[R]) -> AsyncTaskHandle[R]: ...
    @overload
    async def push(self, task: Pipeline[R]) -> AsyncPipelineHandle[R]: ...
    async def push(self, task: Task[Any] | Pipeline[Any]) -> AsyncTaskHandle[Any] | AsyncPipelineHandle[Any]:
        """Store a task, or all tasks of a pipeline, and return its handle; when this returns, the server has them.

        The same task again is stored once. With a ``dedup_key`` that another task holds, that task's handle comes back.

        Args:
            task: From ``function.task(...)`` or `Task.create`; or a pipeline of at most 1,000 tasks, ``a >> [b, c]``.

        Raises:
            InvalidTask: It cannot be pushed, for the reason that the error names. Nothing was sent.
            UnknownParent: It depends on a task, or takes the output of one, that the queue does not know. Nothing was
                stored.
            BatchTooLarge: The pipeline has more tasks, more than 4 MiB, or more than 10,000 dependencies. Nothing was
                sent.
            TaskConflict: Its id was pushed before with other content.
            QueueFull: As many tasks wait as its user or the queue may have, or the server has no memory left. Nothing
                was stored.
        """
        if isinstance(task, Pipeline):
            call = one_push(self._link.keys, self.settings, task.tasks.values())
            return AsyncPipelineHandle(self._link, task, await self._push(call))
        return (await self._push(one_push(self._link.keys, self.settings, (task,))))[0]

    async def push_many(self, tasks: Iterable[Task[R]], *, chunked: bool = False) -> list[AsyncTaskHandle[R]]:
        """Store tasks in one atomic call, all or none, and return their handles in the same order.

        Args:
            tasks: At most 1,000, with 4 MiB and 10,000 dependencies together.
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
            return await self._push(one_push(self._link.keys, self.settings, batch)) if batch else handles
        with carrying(handles):
            for call in pushes(self._link.keys, self.settings, tasks):
                handles += await self._push(call)
        return handles

    def get(self, task_id: str) -> AsyncTaskHandle[Any]:
        """Return the handle of a task by its id. Nothing is sent: an unknown task shows when the handle is used.

        Raises:
            InvalidTask: It cannot be the id of a task.
        """
        return AsyncTaskHandle(self._link, check_id(task_id, "task_id"), known=False)

    async def cancel(self, task_id: str, reason: str = "canceled by its producer") -> CancelResult:
        """End a task if it waits, ask it to stop if it runs; the answer says which.

        Args:
            task_id: The task.
            reason: Why, for people.

        Raises:
            TaskNotFound: There is no such task.
        """
        return await self.get(task_id).cancel(reason)

    async def stats(self) -> QueueStats:
        """Return the queue in numbers, each read in constant time."""
        return await self._link.run(read_stats(self._link.keys))

    async def explain(self, task_id: str) -> TaskStanding:
        """Return where a task stands; its ``.explain()`` says in a sentence what it waits for.

        Raises:
            TaskNotFound: There is no such task.
            InvalidTask: It cannot be the id of a task. Nothing was sent.
        """
        return await self._link.run(explain(self._link.keys, check_id(task_id, "task_id")))

    async def explain_user(self, user_id: str) -> UserStanding:
        """Return the same as ``users.get``; its ``.explain()`` says in a sentence what the user waits for.

        Raises:
            UserNotFound: It has neither tasks, debts nor settings of its own.
            InvalidTask: It cannot be the id of a user. Nothing was sent.
        """
        return await self.users.get(user_id)

    async def configure(
        self, *, cost_mode: CostMode | Unchanged = UNCHANGED, backlog: int | Unchanged | None = UNCHANGED
    ) -> bool:
        """Set how the queue behaves for all, in one atomic step, and return whether anything was not so before.

        Args:
            cost_mode: What a task costs its user: its ``time``, as it is unless set, or one each, ``count``. It can
                change only while no user has tasks or debts.
            backlog: Most waiting tasks of the queue. A push above it is a `QueueFull`. None takes it back.

        Raises:
            ConfigurationError: With every value that cannot be used, or the cost mode cannot change now. Nothing was
                changed.
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
