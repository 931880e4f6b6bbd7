"""A change measured against a revision, in the same run.

    hatch run bench:compare REV                     all workloads
    hatch run bench:compare REV push instructions   some of them

The revision is checked out in a temporary folder and gets an environment of its own, with the same versions of all
other packages. Each round measures both, one after the other. The workloads are those of this checkout: one that a
revision cannot run, since its calls had other arguments, is named and left out.
"""

from bench import WORKLOADS, arguments, chosen, run
from environments import Missing, current_side, revision_side


def main() -> None:
    """Do what the command line says."""
    parser = arguments(__doc__, list(WORKLOADS), revision=True)
    options = parser.parse_args()
    workloads = chosen(options.names)
    try:
        with revision_side(options.revision) as before:
            run([before, current_side()], workloads, options)
    except Missing as error:
        raise SystemExit(f"{options.revision} cannot be measured: {error}") from None


if __name__ == "__main__":
    main()
