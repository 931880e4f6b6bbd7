"""``python -m fairque.worker`` is the command ``fairque-worker``."""

from fairque.worker.cli import main

main(prog_name="fairque-worker")
