"""One Python source file as Markdown: its docstrings under headings, read with `ast` and never executed.

The module's docstring comes first, then `## Class`, `## function(signature)` and `### Class.method(signature)` in
the order of the source. Names without a docstring (and classes with none inside) get no heading. Definitions under
`if`, `try` and `with` count; functions inside functions do not.
"""

from __future__ import annotations

import ast
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

from coursekit.corpus.python_docs.outline import outline

LARGEST_BYTES = 2_000_000
LONGEST_SIGNATURE = 300

_Function = ast.FunctionDef | ast.AsyncFunctionDef
# Postgres stores no NUL and UTF-8 has no surrogates; the other control characters are escapes shown by mistake
_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


class UnreadableError(Exception):
    """The file is not Python that this Python can read; the message is the reason to count it under."""


def parse(path: Path) -> ast.Module:
    """The file's syntax tree without the bodies of functions, decoded as its coding line or byte order mark says.

    Raises:
        UnreadableError: it is missing, no regular file, too large, wrongly encoded, or not valid for this Python.
    """
    try:
        if not path.is_file():  # a pipe named x.py would block
            raise UnreadableError("unreadable")
        if path.stat().st_size > LARGEST_BYTES:
            raise UnreadableError("too large")
        with tokenize.open(path) as file:
            source = file.read()
        try:
            return ast.parse(outline(source))
        except SyntaxError:
            return ast.parse(source)
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise UnreadableError("unreadable") from error  # deep nesting is a RecursionError or a MemoryError


def markdown(tree: ast.Module) -> str:
    """The docstrings of a module; empty when it has none.

    >>> print(markdown(ast.parse('def f(x, *, y=1):\\n    "Add."')))
    ## f(x, *, y=1)
    <BLANKLINE>
    Add.
    """
    parts = [clean(ast.get_docstring(tree) or "")]
    parts += _sections(tree.body, "##", "")
    return "\n\n".join(part for part in parts if part)


def topics(tree: ast.Module) -> dict[str, str]:
    """The dictionary of texts that `pydoc_data/topics.py` assigns; empty when the file has another form."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Dict):
            try:
                table = ast.literal_eval(node.value)
            except (ValueError, RecursionError, MemoryError):
                continue
            return {str(name): clean(str(text)) for name, text in table.items()}
    return {}


def clean(text: str) -> str:
    """`text` with line ends as `\\n`, without characters that no database or tokenizer takes, and no blank edges."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return _UNPRINTABLE.sub(" ", text).strip()


def _sections(body: list[ast.stmt], level: str, prefix: str) -> Iterator[str]:
    for node in _definitions(body):
        text = clean(ast.get_docstring(node) or "")
        if isinstance(node, ast.ClassDef):
            inside = list(_sections(node.body, "###", f"{prefix}{node.name}."))
            if text or inside:
                yield f"{level} {prefix}{node.name}"
                yield text
                yield from inside
        elif text:
            yield f"{level} {prefix}{node.name}{_signature(node)}"
            yield text


def _definitions(body: list[ast.stmt]) -> Iterator[ast.ClassDef | _Function]:
    for node in body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node
        elif isinstance(node, ast.If | ast.Try | ast.TryStar | ast.With):
            yield from _definitions(node.body)
            yield from _definitions(getattr(node, "orelse", []))
            for handler in getattr(node, "handlers", []):
                yield from _definitions(handler.body)
            yield from _definitions(getattr(node, "finalbody", []))


def _signature(node: _Function) -> str:
    try:
        text = f"({ast.unparse(node.args)})"
        text += f" -> {ast.unparse(node.returns)}" if node.returns else ""
    except RecursionError:
        return "(...)"
    text = clean(text)
    return text if len(text) <= LONGEST_SIGNATURE else f"{text[: LONGEST_SIGNATURE - 4]} ..."
