"""A corpus of three documents and three questions about a bakery that does not exist, written into a folder.

Small enough to break in many ways quickly, and proof that the format is not Harborline's alone.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from coursekit.corpus import write_checksums

DOCUMENTS = {
    "oven-start": """\
---
id: oven-start
title: "Starting the deck oven"
kind: runbook
service: oven
owner: bakers
version: "1.1"
updated: 2025-05-12
access: "team:bakers"
---
# Starting the deck oven

Light the burner at 03:40. The stones need 50 minutes to reach 240 °C.

Never open the damper
before the lamp is green.
""",
    "order-cutoff": """\
---
id: order-cutoff
title: "When orders close"
kind: policy
service: till
owner: front-desk
version: "2.0"
updated: 2025-09-01
access: public-internal
supersedes: order-cutoff-2024
---
# When orders close

Cakes: noon on the day before. Bread: 18:00 on the day before.
""",
    "order-cutoff-2024": """\
---
id: order-cutoff-2024
title: "Order cutoff"
kind: policy
service: till
owner: front-desk
version: "1.0"
updated: 2024-02-01
access: public-internal
superseded_by: order-cutoff
traits: [superseded]
---
# Order cutoff

All orders close at 16:00 on the day before.
""",
}
QUESTIONS: list[dict[str, Any]] = [
    {
        "id": "q001",
        "text": "how long till the thing is hot",
        "category": "numeric",
        "split": "dev",
        "asked_by": ["public-internal", "team:bakers"],
        "key_facts": [["50 min"]],
        "reference_answer": "50 minutes after lighting the burner.",
        "passage": {"document": "oven-start", "quote": "The stones need 50 minutes"},
    },
    {
        "id": "q002",
        "text": "cakes for tomorrow, its 1pm, can i still order",
        "category": "temporal",
        "split": "test",
        "asked_by": ["public-internal"],
        "key_facts": [["noon"]],
        "wrong_facts": ["16:00"],
        "reference_answer": "No: cakes close at noon on the day before.",
        "passage": {"document": "order-cutoff", "quote": "Cakes: noon on the day before."},
    },
    {
        "id": "q003",
        "text": "do we ship abroad",
        "category": "unanswerable",
        "split": "test",
        "asked_by": ["public-internal"],
        "reference_answer": "No document speaks of shipping.",
        "passage": None,
    },
]
QRELS = "q001 0 oven-start 2\nq002 0 order-cutoff 2\nq002 0 order-cutoff-2024 0\nq003 0 order-cutoff 0\n"
WORLD = """\
teams: {bakers: {}, front-desk: {}}
services:
  oven: {owner: bakers}
  till: {owner: front-desk}
tenants: {cafe-luna: {}}
errors: {}
config: {}
incidents: {}
"""


def write(folder: Path, *, world: bool = True, judging: bool = True, newline: str = "\n") -> Path:
    """Write the bakery's corpus into `folder`, with or without its optional parts, and its checksums."""
    files = {f"documents/{name}.md": text for name, text in DOCUMENTS.items()}
    files["questions.jsonl"] = "".join(json.dumps(question, ensure_ascii=False) + "\n" for question in QUESTIONS)
    files["qrels.txt"] = QRELS
    if world:
        files["world.yaml"] = WORLD
    if judging:
        files["judging/pass-1.txt"] = QRELS
        files["judging/pass-2.txt"] = QRELS.replace("order-cutoff-2024 0", "order-cutoff-2024 1")
        files["judging/pool.txt"] = "q001 oven-start\nq002 order-cutoff\nq002 order-cutoff-2024\nq003 order-cutoff\n"
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline=newline)
    write_checksums(folder)
    return folder
