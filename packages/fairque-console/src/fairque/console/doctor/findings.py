"""What the doctor says: the diagnosis that holds its findings."""

from typing import Any

from attrs import asdict, frozen

from fairque.protocol.runners.checks import Finding

__all__ = ["Diagnosis"]


@frozen(kw_only=True)
class Diagnosis:
    """All that was looked at and found.

    Attributes:
        server: The address, without its password.
        queue: Name of the queue.
        facts: What was measured and read, by name.
        findings: Errors first.
        passed: Checks without a finding.
    """

    server: str
    queue: str
    facts: dict[str, str | int | float]
    findings: tuple[Finding, ...]
    passed: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing was found that breaks the queue."""
        return not any(finding.severity == "error" for finding in self.findings)

    @property
    def exit_code(self) -> int:
        """What a command ends with: 0 when nothing breaks the queue, 1 when something does, 3 without an answer."""
        if any(finding.check == "reach" for finding in self.findings):
            return 3
        return 0 if self.ok else 1

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {**asdict(self), "ok": self.ok}

    def lines(self) -> list[str]:
        """Return it as lines for people."""
        lines = [f"{self.server}, queue {self.queue!r}"]
        lines += [f"  {name}: {value}" for name, value in self.facts.items()]
        for one in self.findings:
            lines += [f"{one.severity}: {one.what}", f"  why:  {one.why}", f"  fix:  {one.fix}"]
        lines.append(f"passed: {', '.join(self.passed) or 'nothing'}")
        return lines
