"""`course models …`: measure what the simulated models can and cannot do."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    help="Measure the simulated models.\n\nExample:  course models measure --skill injection",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    add_completion=False,
)


@app.callback()
def _models() -> None:
    """Measure the simulated models."""


@app.command()
def measure(
    skill: Annotated[list[str] | None, typer.Option(help="Only this skill; may be repeated.")] = None,
    model: Annotated[list[str] | None, typer.Option(help="Only this model; may be repeated.")] = None,
    split: Annotated[list[str] | None, typer.Option(help="dev or test; both by default.")] = None,
    write: Annotated[Path | None, typer.Option(help="Put the tables between this page's markers.")] = None,
) -> None:
    """Let the simulated models sit their exams; all of them take about twenty minutes.

    Example:  course models measure --skill injection   |   course models measure --write docs/simulated-models.md
    """
    from coursekit import tables
    from coursekit.corpus import page as pages
    from coursekit.corpus.vocabulary import SPLITS
    from coursekit.model_card import measuring, page

    if write is not None:
        pages.read_section(write, page.SECTION)  # before the work: a page without markers cannot take the tables
    found = measuring.measure(
        skill or tuple(measuring.SKILLS),
        model or measuring.MODELS,
        split or SPLITS,
        say=lambda text: print(text, file=sys.stderr),
    )
    tables.show(tables.exams(found))
    if write is not None:
        print(f"wrote {pages.write_section(write, page.SECTION, page.markdown(found))}")
