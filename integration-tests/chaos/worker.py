"""A worker process: the product's command, with the scripts of another folder if the environment names one."""

import signal
from functools import partial

from chaos.settings import use_other_scripts
from fairque.protocol.embedded.guard import die_with_parent
from fairque.protocol.service.ending import run_command
from fairque.worker.cli import main

if __name__ == "__main__":
    die_with_parent(signal.SIGKILL)
    use_other_scripts()
    run_command(partial(main, ["chaos.tasks", "--log-format", "text"]))
