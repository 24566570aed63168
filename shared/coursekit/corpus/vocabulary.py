"""The words that a corpus may use for kinds, traits, categories and splits; the corpus's README.md explains each."""

from __future__ import annotations

from typing import Literal, get_args

Kind = Literal[
    "runbook",
    "api",
    "config",
    "errors",
    "postmortem",
    "adr",
    "onboarding",
    "howto",
    "faq",
    "release-notes",
    "meeting-notes",
    "policy",
]
Trait = Literal[
    "superseded",
    "near-duplicate",
    "table-only",
    "code-only",
    "split-fact",
    "late-fact",
    "restricted",
    "acronym",
    "mentions-without-answering",
    "multilingual",
    "poisoned",
    "newest-wins",
]
Category = Literal[
    "identifier",
    "paraphrase",
    "how-to",
    "numeric",
    "multi-hop",
    "comparison",
    "temporal",
    "follow-up",
    "access-restricted",
    "unanswerable",
]
Split = Literal["dev", "test"]

KINDS: tuple[str, ...] = get_args(Kind)
TRAITS: tuple[str, ...] = get_args(Trait)
CATEGORIES: tuple[str, ...] = get_args(Category)
SPLITS: tuple[str, ...] = get_args(Split)
