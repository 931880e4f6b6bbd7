"""Which child processes a worker has, by its settings and its handler."""

from fairque.protocol.errors import ConfigurationError
from fairque.worker.handling.handler import TaskHandler
from fairque.worker.processes.children import Children
from fairque.worker.processes.process import Recipe
from fairque.worker.settings import WorkerSettings

__all__ = ["children_of"]


def children_of(settings: WorkerSettings, handler: TaskHandler | str | None) -> Children:
    """Return the child processes of a worker, none of which is started yet.

    Raises:
        ConfigurationError: All tasks should run in child processes, but there can be none.
    """
    options = settings.worker
    recipe, why_not = None, ""
    if isinstance(handler, TaskHandler):
        why_not = "its handler is an object, which a child process cannot use. Name it: Worker(settings, 'MODULE:ATTR')"
    elif handler is None and not options.modules:
        why_not = "they import worker.modules, and there are none: name the modules with tasks, modules=['MODULE']"
    else:
        recipe = Recipe(
            worker=options.name,
            modules=options.modules,
            handler=handler,
            result_limit=settings.queue.message_limit,
            input_limit=settings.queue.input_limit,
        )
    if recipe is None and options.isolation == "process":
        raise ConfigurationError([f"worker.isolation is 'process', but this worker has no child processes: {why_not}"])
    return Children(recipe, why_not, options.cancel_timeout)
