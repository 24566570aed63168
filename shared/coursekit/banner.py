"""What `%load_ext coursekit` shows: the module, the models, the database, and whose files the system is made of."""

from __future__ import annotations

import html
import os
from typing import TYPE_CHECKING

from coursekit import workspace

if TYPE_CHECKING:
    from coursekit.jupyter import Session
    from coursekit.models import Endpoint


def rows(session: Session, endpoint: Endpoint | None) -> list[tuple[str, str]]:
    """The banner's lines as (label, text)."""
    return [
        ("models", endpoint.describe() if endpoint else "not used in this course"),
        ("database", _database(session)),
        ("your system", _system(session)),
    ]


def _database(session: Session) -> str:
    if not session.module.database:
        return "not needed in this module"
    from coursekit import database

    info = database.describe_server(os.environ["DATABASE_URL"])
    kind = "embedded" if info.embedded else info.url_without_password
    return f"Postgres {info.version} with pgvector {info.pgvector_version} ({kind})"


def _system(session: Session) -> str:
    files = workspace.resolve(session.where, session.course, session.module.id)
    before = {module.id for module in session.course.before(session.module.id)}
    earlier = [file for file in files.values() if file.module_id in before]
    groups: dict[str, list[str]] = {}
    for file in earlier:
        groups.setdefault(f"{file.origin}: {file.reason}", []).append(file.name)
    groups["written in this notebook"] = list(session.module.exports)
    return " · ".join(f"{', '.join(names)} ({whose})" for whose, names in groups.items())


def show(session: Session, endpoint: Endpoint | None) -> None:
    """Display the banner, as HTML where the front end can, else as text."""
    from IPython.display import display

    title = f"{session.module.short} · {session.module.title}"
    lines = rows(session, endpoint)
    text = "\n".join([title, *(f"  {label:<12} {value}" for label, value in lines)])
    body = "".join(
        f"<div><span style='display:inline-block;width:7em;opacity:.65'>{label}</span>{html.escape(value)}</div>"
        for label, value in lines
    )
    markup = (
        "<div style='border-left:4px solid #2a6f97;padding:.3em .8em;line-height:1.6'>"
        f"<strong>{html.escape(title)}</strong>{body}</div>"
    )
    display({"text/plain": text, "text/html": markup}, raw=True)
