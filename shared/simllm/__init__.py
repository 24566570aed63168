"""simllm: simulated language models behind a local, OpenAI-compatible HTTP server.

An honest simulation: an n-gram language model and a copy mechanism over the prompt, with real tokenization,
real sampling, real embeddings and scripted failures. It is deterministic, works offline and needs no key.
It knows no company, no question and no document: every answer is computed from the request alone.

Importing this package loads nothing heavy; `SimServer` and `Bench` are imported on first use.
"""

from __future__ import annotations

import importlib
import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from simllm.admin import Bench
    from simllm.faults import Fault
    from simllm.history import Limits
    from simllm.quota import Quota
    from simllm.server import SimServer
    from simllm.verdict import Verdict

__version__ = "0.1.0"
__all__ = ["Bench", "Fault", "Limits", "Quota", "SimServer", "Verdict", "__version__"]

# A library stays silent until its user configures logging; without this line Python prints warnings to stderr.
logging.getLogger("simllm").addHandler(logging.NullHandler())


_HOMES = {
    "Bench": "simllm.admin",
    "Fault": "simllm.faults",
    "Limits": "simllm.history",
    "Quota": "simllm.quota",
    "SimServer": "simllm.server",
    "Verdict": "simllm.verdict",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'simllm' has no attribute {name!r}; it exports {', '.join(__all__)}")
    return getattr(importlib.import_module(_HOMES[name]), name)
