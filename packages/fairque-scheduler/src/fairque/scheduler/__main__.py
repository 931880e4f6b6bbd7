"""``python -m fairque.scheduler`` is ``fairque-scheduler``."""

from fairque.scheduler.cli import main

main(prog_name="fairque-scheduler")
