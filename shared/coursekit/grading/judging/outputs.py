"""Outputs that came from the learner's process: made valid and bounded before they reach a notebook file."""

from __future__ import annotations

from typing import Any

MAX_OUTPUTS = 200
_KINDS = {"text/plain", "text/html", "text/markdown", "text/latex", "image/png", "image/jpeg", "image/svg+xml"}


def clean_outputs(outputs: Any, limit_kb: int) -> list[dict[str, Any]]:
    """The well-formed outputs among `outputs`, up to about `limit_kb` of text in all."""
    kept: list[dict[str, Any]] = []
    room = limit_kb * 1024 + 4096
    for output in outputs[:MAX_OUTPUTS] if isinstance(outputs, list) else []:
        cleaned = _clean(output) if isinstance(output, dict) else None
        if cleaned is None:
            continue
        room -= len(str(cleaned))
        if room < 0:
            kept.append({"output_type": "stream", "name": "stdout", "text": "… further output is not kept\n"})
            break
        kept.append(cleaned)
    return kept


def _clean(output: dict[str, Any]) -> dict[str, Any] | None:
    match output.get("output_type"):
        case "stream":
            name = "stderr" if output.get("name") == "stderr" else "stdout"
            return {"output_type": "stream", "name": name, "text": str(output.get("text", ""))}
        case "error":
            lines = output.get("traceback")
            return {
                "output_type": "error",
                "ename": str(output.get("ename", ""))[:200],
                "evalue": str(output.get("evalue", ""))[:20_000],
                "traceback": [str(line) for line in lines[:60]] if isinstance(lines, list) else [],
            }
        case "display_data" | "execute_result" as kind:
            data = output.get("data")
            texts = (
                {k: v for k, v in data.items() if k in _KINDS and isinstance(v, str)} if isinstance(data, dict) else {}
            )
            extra = {"execution_count": None} if kind == "execute_result" else {}
            return {"output_type": kind, "data": texts, "metadata": {}, **extra}
    return None
