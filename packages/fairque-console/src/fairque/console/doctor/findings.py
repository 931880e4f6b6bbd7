"""The diagnosis of the doctor."""

from typing import Any

from attrs import asdict, frozen

from fairque.protocol.runners.checks import Finding

__all__ = ["Diagnosis"]


@frozen(kw_only=True)
class Diagnosis:
    """The result of an examination.

    Attributes:
        server: The URL of the server, without its password.
        queue: The name of the queue.
        facts: Measured and read values, by name.
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
        """Whether there are no errors; warnings are allowed."""
        return not any(finding.severity == "error" for finding in self.findings)

    @property
    def exit_code(self) -> int:
        """The exit code of the command: 0 without errors, 1 with errors, 3 if the server does not answer."""
        if any(finding.check == "reach" for finding in self.findings):
            return 3
        return 0 if self.ok else 1

    def as_dict(self) -> dict[str, Any]:
        """Return the diagnosis as JSON values."""
        return {**asdict(self), "ok": self.ok}

    def lines(self) -> list[str]:
        """Return the diagnosis as lines for humans."""
        lines = [f"{self.server}, queue {self.queue!r}"]
        lines += [f"  {name}: {value}" for name, value in self.facts.items()]
        for finding in self.findings:
            lines += [f"{finding.severity}: {finding.what}", f"  why:  {finding.why}", f"  fix:  {finding.fix}"]
        lines.append(f"passed: {', '.join(self.passed) or 'nothing'}")
        return lines
