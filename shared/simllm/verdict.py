"""Judge a client by the journal: what did it do when things went wrong?

`verdict(entries)` runs every rule of `findings` and `pacing` over the entries of one client. A finding says which requests show
it, with which numbers, why it matters and what to do. What the server cannot know for sure is marked as a hint.
Pure functions over journal entries: no clock, no network.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from simllm.findings import RULES
from simllm.history import Finding, Limits, failed, history
from simllm.journal import Entry


@dataclass(frozen=True)
class Verdict:
    """What the journal says about a client. `requests` counts all, `retries` those of them that repeat a failure."""

    findings: tuple[Finding, ...]
    requests: int
    retries: int
    failures: int

    @property
    def ok(self) -> bool:
        """Nothing certain was found."""
        return not any(finding.certain for finding in self.findings)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the findings, hints included."""
        return tuple(finding.name for finding in self.findings)

    def __getitem__(self, name: str) -> Finding:
        for finding in self.findings:
            if finding.name == name:
                return finding
        raise KeyError(f"no finding {name!r}; found: {', '.join(self.names) or 'nothing'}")

    def __contains__(self, name: object) -> bool:
        return name in self.names

    def __str__(self) -> str:
        head = f"{self.requests} requests, {self.failures} failed, {self.retries} retries"
        return "\n".join(
            [f"{head}: {'nothing to object to' if not self.findings else ''}".rstrip(": "), *map(str, self.findings)]
        )

    def as_dict(self) -> dict[str, Any]:
        """The verdict as plain JSON."""
        return asdict(self) | {"ok": self.ok}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Verdict:
        """The verdict out of its JSON."""
        findings = tuple(Finding(**item | {"entries": tuple(item["entries"])}) for item in data["findings"])
        return cls(findings, data["requests"], data["retries"], data["failures"])


def verdict(entries: Sequence[Entry | Mapping[str, Any]], limits: Limits | None = None) -> Verdict:
    """Judge one client by its journal.

    Args:
        entries: journal entries, or their JSON, of one client, oldest first.
        limits: what is still reasonable; None: the defaults.
    """
    story = history(entries)
    found = tuple(finding for rule in RULES if (finding := rule(story, limits or Limits())))
    retries = sum(len(chain.retries) for chain in story.chains)
    return Verdict(found, len(story.entries), retries, sum(map(failed, story.entries)))
