"""simllm: simulated language models behind a local, OpenAI-compatible HTTP server.

An honest simulation: an n-gram language model and a copy mechanism over the prompt, with real tokenization,
real sampling, real embeddings and scripted failures. It is deterministic, works offline and needs no key.
It knows no company, no question and no document: every answer is computed from the request alone.

Importing this package loads nothing heavy; `SimServer` and `Bench` are imported on first use.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from simllm.admin import Bench
    from simllm.faults import Fault
    from simllm.server import SimServer

__version__ = "0.1.0"
__all__ = ["Bench", "Fault", "SimServer", "__version__"]

# A library stays silent until its user configures logging; without this line Python prints warnings to stderr.
logging.getLogger("simllm").addHandler(logging.NullHandler())


def __getattr__(name: str) -> Any:
    if name == "SimServer":
        from simllm.server import SimServer

        return SimServer
    if name == "Bench":
        from simllm.admin import Bench

        return Bench
    if name == "Fault":
        from simllm.faults import Fault

        return Fault
    raise AttributeError(f"module 'simllm' has no attribute {name!r}; it exports {', '.join(__all__)}")
