"""What a learner wrote, made harmless to look at: no script runs in a feedback page, the formgrader or JupyterLab.

Outputs keep their text, plain pictures and simple HTML (tables); markdown keeps its words, but no tags with attributes and no
script links. Sanitizing is by allow-lists throughout: HTML by bleach, the library that nbconvert uses.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable
from typing import Any

import bleach  # type: ignore[import-untyped]
from nbformat import NotebookNode
from nbformat.v4 import new_output

MAX_OUTPUT_CHARS = 100_000  # of one output; nbgrader itself cuts at 1,000 lines
_TABLES = {"table", "caption", "colgroup", "col", "thead", "tbody", "tfoot", "tr", "th", "td"}
_TEXT = {"p", "div", "span", "br", "hr", "pre", "code", "b", "i", "em", "strong", "sub", "sup", "ul", "ol", "li"}
_TEXT |= {"dl", "dt", "dd", "h1", "h2", "h3", "h4", "h5", "h6", "details", "summary", "small", "u", "s", "kbd"}
_ATTRIBUTES = {"th": ["colspan", "rowspan"], "td": ["colspan", "rowspan"]}
_INVISIBLE = re.compile(r"<(style|script|template|head|title)\b.*?(</\1\s*>|\Z)", re.IGNORECASE | re.DOTALL)
_BASE64 = re.compile(r"[A-Za-z0-9+/=\s]*")
_PICTURES = ("image/png", "image/jpeg")

_ZERO_WIDTH = "\u200d"  # breaks a tag or a link for a parser, not for a reader
_PLAIN_TAG = re.compile(rf"</?(?:{'|'.join(sorted(_TEXT - {'div', 'span'}))})\s*/?>", re.IGNORECASE)
_TAG = re.compile(r"<(?=[a-zA-Z/!?])")
_GAP = r"[\s\\\x00-\x20]*"
_SCHEME = re.compile(
    rf"({_GAP.join('javascript')}|{_GAP.join('vbscript')}|{_GAP.join('livescript')}|{_GAP.join('data')}){_GAP}:", re.I
)


def safe_html(text: str) -> str:
    """Simple HTML without scripts, styles, links, forms or pictures.

    >>> safe_html("<td onclick='x()' colspan='2'>1<script>y()</script></td>")
    '<td colspan="2">1</td>'
    """
    visible = _INVISIBLE.sub("", text)
    return str(bleach.clean(visible, tags=_TABLES | _TEXT, attributes=_ATTRIBUTES, strip=True, strip_comments=True))


def safe_markdown(text: str) -> str:
    """The same words; tags (but for plain ones such as `<b>`) and script links are broken by an invisible character."""
    for _ in range(3):  # entities may hide a scheme, and themselves
        if not _SCHEME.search(html.unescape(text)) or html.unescape(text) == text:
            break
        text = html.unescape(text)
    kept = iter(_PLAIN_TAG.findall(text))
    pieces = (_TAG.sub(f"<{_ZERO_WIDTH}", piece) for piece in _PLAIN_TAG.split(text))
    joined = "".join(piece + next(kept, "") for piece in pieces)
    return _SCHEME.sub(lambda found: found[1] + _ZERO_WIDTH + ":", joined)


def safe_outputs(outputs: Iterable[Any]) -> list[NotebookNode]:
    """Outputs of a code cell with only what is safe; those of which nothing is left are dropped."""
    cleaned = (_safe_output(output) for output in outputs if isinstance(output, dict))
    return [output for output in cleaned if output is not None]


def safe_attachments(attachments: Any) -> dict[str, dict[str, str]]:
    """A markdown cell's attached pictures, plain ones only."""
    if not isinstance(attachments, dict):
        return {}
    pictures = {str(name): _pictures(bundle) for name, bundle in attachments.items() if isinstance(bundle, dict)}
    return {name: bundle for name, bundle in pictures.items() if bundle}


def _safe_output(output: dict[str, Any]) -> NotebookNode | None:
    kind = output.get("output_type")
    if kind == "stream":
        name = "stderr" if output.get("name") == "stderr" else "stdout"
        return new_output("stream", name=name, text=_text(output.get("text")))
    if kind == "error":
        lines = output.get("traceback")
        lines = [_text(line) for line in lines] if isinstance(lines, list) else []
        ename, evalue = _text(output.get("ename")), _text(output.get("evalue"))
        return new_output("error", ename=ename, evalue=evalue, traceback=lines)
    data = output.get("data")
    if kind not in ("display_data", "execute_result") or not isinstance(data, dict):
        return None
    safe: dict[str, str] = _pictures(data)
    if "text/plain" in data:
        safe["text/plain"] = _text(data["text/plain"])
    if "text/html" in data and (markup := safe_html(_text(data["text/html"]))).strip():
        safe["text/html"] = markup
    return new_output("display_data", data=safe) if safe else None


def _pictures(bundle: dict[str, Any]) -> dict[str, str]:
    texts = {kind: _joined(bundle[kind]) for kind in _PICTURES if kind in bundle}
    return {kind: text for kind, text in texts.items() if text and _BASE64.fullmatch(text)}


def _text(value: Any) -> str:
    text = _joined(value)
    return text if len(text) <= MAX_OUTPUT_CHARS else f"{text[:MAX_OUTPUT_CHARS]}\n... output truncated ..."


def _joined(value: Any) -> str:
    if isinstance(value, list):
        return "".join(part for part in value if isinstance(part, str))
    return value if isinstance(value, str) else ""
