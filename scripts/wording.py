"""Finds unidiomatic phrases: ``python scripts/wording.py`` prints each with a replacement.

It rejects only the most common ones; CONTRIBUTING.md has the glossary.
"""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
SUFFIXES = {".py", ".md", ".lua", ".toml", ".yaml", ".yml"}
#: These files contain the phrases on purpose.
EXEMPT = {"CONTRIBUTING.md", "scripts/wording.py", "integration-tests/test_wording.py"}

TURNS = {
    r"(?<!from now )(?<!from then )\b(?:go|goes|going|went|gone) on\b": "continue",
    r"\bmend(?:s|ed|ing)?\b": "fix",
    r"\bfor ever\b": "forever",
    r"(?<![.\w])anew(?! *[:=,]| {2})\b": "again, start over",
    r"(?<!here )\b(?:is|are|was|were) no (?!longer|more|less|such|other|one|limit)\w": "is not a",
    r"\b(?:bring|brings|brought) (?:a|the|its|their|one) tasks?\b": "enqueue",
    r": (?:It|The same)\.$": "say what it is",
    r"\b(?:is|are) no more(?=[.,;:]|$)": "no longer exists",
    r"\bnot any more\b": "no longer",
    r"\bcame upon\b": "found",
    r"\bfor want of\b": "without",
    r"\bof (?:its|their) own accord\b": "by itself",
    r"\bof wh(?:om|ich|ose \w+) nobody\b": "unknown",
    r"\b(?:by|in) turns\b": "alternately",
    r"\b(?:hold|keep)s? nobody up\b": "block nothing",
    r"\bholds? (?:it|them|others|no others?) up\b": "block",
    r"\blooks? whether\b": "check whether",
    r"\bgrowing pauses?\b": "exponential backoff",
    r"\btried again\b": "retried",
    r"\btimes? of keeping\b": "retention",
    r"\ball the same(?! \w)": "anyway",
    r"\bfor so long\b": "say for how long",
    r"\bbeside each other\b": "concurrently",
    r"\bcarr(?:y|ies|ying) out\b": "run, apply",
    r"\b[Aa]sks? nobody\b": "does not contact the server",
    r"\b[Tt]akes? in that\b": "note that",
    r"\blets? go of\b": "release",
    r"\b[Bb]e the command\b": "run the command",
    r"\bany more(?=[.,;:)\"]|$| and\b| (?:is|are)\b)": "no longer",
    r"\bse(?:e|es|en|eing) to it\b": "make sure",
    r"\bc(?:an|annot) be had\b": "is (not) available",
    r"\b(?:is|are|was|be|been) told\b": "notify, report",
    r"\bnobody can (?:tell|say)\b": "it is unclear",
    r"\bfor people\b": "for humans",
    r"\bfail(?:s|ed)? for good\b": "fail permanently",
    r"\bin vain\b": "say what it does not find",
    r"\b[Tt]he very same\b": "the same, identical",
    r"\ball that is wrong\b": "all problems",
    r"\bleft alone\b": "left unchanged, ignored",
    r"\bIt cannot be the (?:id|name)\b": "`name` is not a valid id",
    r"\bas ever\b": "as usual",
    r"\bfor some while\b|\bsome while ago\b": "some time",
    # Python's own names are in code: `CancelledError`, `cancelled()`.
    r"cancell(?:ed|ation|ing)(?![(`])": "canceled, cancelation",
}


def turns(text: str) -> Iterator[tuple[int, str, str]]:
    """Yield the line number of each such phrase, the phrase, and its replacement."""
    for number, line in enumerate(text.splitlines(), 1):
        for turn, instead in TURNS.items():
            if found := re.search(turn, line):
                yield number, found[0], instead


def main() -> int:
    """Print all phrases found in files tracked by git; return 1 if there are any."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True)
    names = [name for name in listed.stdout.splitlines() if Path(name).suffix in SUFFIXES and name not in EXEMPT]
    found = [
        f"{name}:{number}: {turn!r}: {instead}"
        for name in names
        if (ROOT / name).exists()
        for number, turn, instead in turns((ROOT / name).read_text("utf-8"))
    ]
    print(*found, sep="\n", end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
