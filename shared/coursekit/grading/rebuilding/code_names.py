"""Which names a cell binds at its top level, and which it needs from other cells.

Scopes are Python's own (`symtable`); order inside a cell counts: a name that the cell has bound before is not needed.
IPython's magics are taken out first, in linear time: TransformerManager tokenises once per magic, too slow for hostile text.
Parses only: nothing is executed.
"""

from __future__ import annotations

import ast
import importlib.util
import re
import symtable
import warnings
from dataclasses import dataclass
from functools import lru_cache

MAX_PARSED_CHARS = 100_000  # syntax trees take a thousand times their text's memory

_CELL_MAGIC = re.compile(r"\A\s*%%(\w+)[^\n]*\n?")
_TRANSPARENT = ("time", "timeit", "capture", "prun")  # magics whose body or argument is Python in the same namespace
_LINE_MAGIC = re.compile(
    r"^([ \t]*)(?:%(?:time|timeit|prun) (?:-\w+ *\d* +)*(?=\S)|[%!?].*$|[^#'\"\n]*\?[ \t]*$)", re.MULTILINE
)
_ASSIGNED_MAGIC = re.compile(r"^([ \t]*[\w, \t]+=[ \t]*)[%!].*$", re.MULTILINE)
_ROUGH_DEF = re.compile(r"^(?:async[ \t]+def|def|class)[ \t]+(\w+)", re.MULTILINE)
_ROUGH_ASSIGNMENT = re.compile(r"^(\w+)[ \t]*(?::[^=\n]+)?=(?!=)", re.MULTILINE)


@dataclass(frozen=True)
class Names:
    """What a cell binds and needs.

    `needs_now`: loaded while the cell runs; `needs_later`: loaded in bodies of its functions, when they are called.
    `changes`: names whose attributes or items it assigns. `imports`: an import stands at the top level.
    `tree` says whether the cell could be parsed; if not, `defines` and `binds` are guessed from the lines.
    """

    binds: frozenset[str] = frozenset()
    defines: frozenset[str] = frozenset()
    needs_now: frozenset[str] = frozenset()
    needs_later: frozenset[str] = frozenset()
    changes: frozenset[str] = frozenset()
    imports: bool = False
    star: bool = False
    tree: bool = True

    @property
    def needs(self) -> frozenset[str]:
        return self.needs_now | self.needs_later

    @property
    def key(self) -> frozenset[str]:
        """The names by which the cell is known: its functions and classes, or else all that it binds."""
        return self.defines or self.binds


def without_magics(text: str) -> str:
    """IPython's text with magics, shell lines and `?` replaced, so that Python can parse what remains."""
    magic = _CELL_MAGIC.match(text)
    if magic:
        text = text[magic.end() :] if magic[1] in _TRANSPARENT else ""

    def replaced(match: re.Match[str]) -> str:
        return match[1] if match[0].rstrip() != match[0] and "?" not in match[0] else f"{match[1]}pass"

    return _LINE_MAGIC.sub(replaced, _ASSIGNED_MAGIC.sub(r"\1None", text))


def parse(text: str) -> tuple[ast.Module, str] | None:
    """The cell's syntax tree and the text that it stands for; None when it is no Python or too long."""
    if len(text) > MAX_PARSED_CHARS:
        return None
    for attempt in (text, without_magics(text)):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return ast.parse(attempt), attempt
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
    return None


@lru_cache(maxsize=512)
def of_course(text: str) -> Names:
    """`of`, remembered: for the course's own cells, which are the same in every submission."""
    return of(text)


def of(text: str) -> Names:
    """The names of one cell."""
    parsed = parse(text)
    try:
        if parsed is not None:
            return _Walk().names(*parsed)
    except (SyntaxError, RecursionError, MemoryError, ValueError):
        pass
    defined = frozenset(_ROUGH_DEF.findall(text))
    return Names(defined | frozenset(_ROUGH_ASSIGNMENT.findall(text)), defined, tree=False)


@lru_cache(maxsize=512)
def imports(text: str) -> dict[str, str]:
    """What a course's cell imports at its top level from installed packages: the import statement, by the bound name."""
    parsed = parse(text)
    found: dict[str, str] = {}
    for node in parsed[0].body if parsed is not None else []:
        if isinstance(node, ast.Import):
            roots = [(alias, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            roots = [(alias, node.module) for alias in node.names if alias.name != "*"]
        else:
            continue
        for alias, module in roots:
            if importlib.util.find_spec(module.split(".")[0]) is not None:
                found[alias.asname or alias.name.split(".")[0]] = ast.unparse(node)
    return found


class _Walk(ast.NodeVisitor):
    """Goes through a cell's top level in the order in which Python evaluates it; `symtable` knows the inner scopes."""

    def __init__(self) -> None:
        self.bound: set[str] = set()
        self.defined: set[str] = set()
        self.needed: set[str] = set()
        self.changed: set[str] = set()
        self.imports = self.star = False

    def names(self, tree: ast.Module, text: str) -> Names:
        self.visit(tree)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            table = symtable.symtable(text, "cell", "exec")
        later, assigned = _inner(table)
        bound = self.bound | assigned
        return Names(
            frozenset(bound),
            frozenset(self.defined),
            frozenset(self.needed),
            frozenset(later - bound),
            frozenset(self.changed),
            self.imports,
            self.star,
        )

    def visit_Name(self, node: ast.Name) -> None:
        if not isinstance(node.ctx, ast.Load):
            self.bound.add(node.id)
        elif node.id not in self.bound:
            self.needed.add(node.id)

    def visit_Assign(self, node: ast.Assign) -> None:
        self.visit(node.value)
        for target in node.targets:
            self.visit(target)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        if isinstance(node.target, ast.Name) and node.target.id not in self.bound:
            self.needed.add(node.target.id)
        self.visit(node.value)
        self.visit(node.target)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        self.visit(node.annotation)
        if node.value is not None:
            self.visit(node.value)
            self.visit(node.target)

    def visit_NamedExpr(self, node: ast.NamedExpr) -> None:
        self.visit(node.value)
        self.visit(node.target)

    def visit_For(self, node: ast.For | ast.AsyncFor) -> None:
        for part in (node.iter, node.target, *node.body, *node.orelse):
            self.visit(part)

    visit_AsyncFor = visit_For  # noqa: N815  the visitor's names

    def visit_Attribute(self, node: ast.Attribute | ast.Subscript) -> None:
        base: ast.expr = node
        while isinstance(base, (ast.Attribute, ast.Subscript)):
            base = base.value
        if not isinstance(node.ctx, ast.Load) and isinstance(base, ast.Name):
            self.changed.add(base.id)
        self.generic_visit(node)

    visit_Subscript = visit_Attribute  # noqa: N815

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        for part in (*node.decorator_list, node.args, *([node.returns] if node.returns else [])):
            self.visit(part)
        self._define(node.name)

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self.visit(node.args)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        for part in (*node.decorator_list, *node.bases, *node.keywords):
            self.visit(part)
        self._define(node.name)

    def visit_ListComp(self, node: ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp) -> None:
        self.visit(node.generators[0].iter)  # the only part that the outer scope evaluates
        inside = [*ast.walk(node)]
        loaded = {one.id for one in inside if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Load)}
        targets = {one.id for one in inside if isinstance(one, ast.Name) and not isinstance(one.ctx, ast.Load)}
        self.needed |= loaded - targets - self.bound - {one.arg for one in inside if isinstance(one, ast.arg)}
        self.bound |= {one.target.id for one in inside if isinstance(one, ast.NamedExpr)}

    visit_SetComp = visit_DictComp = visit_GeneratorExp = visit_ListComp  # noqa: N815

    def visit_Import(self, node: ast.Import | ast.ImportFrom) -> None:
        self.imports = True
        for alias in node.names:
            self.star = self.star or alias.name == "*"
            self.bound.add(alias.asname or alias.name.split(".")[0])

    visit_ImportFrom = visit_Import  # noqa: N815

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        self.bound |= {node.name} if node.name else set()
        self.generic_visit(node)

    def visit_MatchAs(self, node: ast.MatchAs | ast.MatchStar) -> None:
        self.bound |= {node.name} if node.name else set()
        self.generic_visit(node)

    visit_MatchStar = visit_MatchAs  # noqa: N815

    def visit_MatchMapping(self, node: ast.MatchMapping) -> None:
        self.bound |= {node.rest} if node.rest else set()
        self.generic_visit(node)

    def _define(self, name: str) -> None:
        self.bound.add(name)
        self.defined.add(name)


def _inner(table: symtable.SymbolTable) -> tuple[set[str], set[str]]:
    """Global names that the scopes inside a table load, and those that they assign by `global`."""
    loaded: set[str] = set()
    assigned: set[str] = set()
    for child in table.get_children():
        for symbol in child.get_symbols():
            if symbol.is_global():
                (assigned if symbol.is_assigned() else loaded).add(symbol.get_name())
        for mine, theirs in zip((loaded, assigned), _inner(child), strict=True):
            mine |= theirs
    return loaded, assigned
