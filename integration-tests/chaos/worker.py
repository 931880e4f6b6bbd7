"""A worker process: the product's own command, with the scripts of another folder if the environment names one."""

from chaos.settings import use_other_scripts
from fairque.worker.cli import main

if __name__ == "__main__":
    use_other_scripts()
    main(["chaos.tasks", "--log-format", "text"])
