"""The scoreboard as a page: every module's row with its intervals, stages and costs, and a picture.

`measure` runs the notebooks on all questions of one split; they record the rows, as in every run. Numbers of docs/scoreboard.md
come from here alone.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from coursekit import manifest, plots, scoreboard, settings
from coursekit.corpus.page import table
from coursekit.errors import RunError
from coursekit.running import runner
from coursekit.running.records import Event
from coursekit.scoreboard import SHARES

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SECTION = "scoreboard"
PAGE = "docs/scoreboard.md"
PICTURE = "docs/images/scoreboard.png"
TIME_LIMIT_SECONDS = 1800.0  # a whole split is ten times a notebook's own sample

Rows = Mapping[str, Mapping[str, Any]]


def measure(
    where: settings.Settings, split: str, modules: Sequence[str], *, on_event: Callable[[Event], None]
) -> dict[str, dict[str, Any]]:
    """Run the notebooks, one at a time so that latencies are theirs, and give the rows that they recorded.

    Raises:
        RunError: a notebook failed, was interrupted, or measured something else than `split`.
    """
    os.environ["COURSE_SCOREBOARD"] = split  # notebooks run in processes of their own, which inherit it
    try:
        results = runner.run(
            modules, workers=1, time_limit_seconds=TIME_LIMIT_SECONDS, on_event=on_event, zygote=where.forks_kernels
        )
    finally:
        del os.environ["COURSE_SCOREBOARD"]
    if failed := [result.module for result in results if not result.ok]:
        raise RunError(
            f"no scoreboard: {', '.join(failed)} did not run to the end. Look at it: course run {failed[0]}."
        )
    rows = {name: row for name, row in scoreboard.rows_of_runs(where).items() if name in modules}
    if strange := [name for name, row in rows.items() if row.get("split") != split]:
        raise RunError(
            f"{strange[0]} did not measure the {split} questions. Its notebook must take them from `scoreboard.questions`."
        )
    return rows


def markdown(rows: Rows, split: str, checksum: str) -> str:
    """The page's section."""
    asked = max(row["questions"] for row in rows.values())
    titles = {module.id: module.title for module in manifest.load(settings.load().root).modules}
    quality = [[f"{name[:3]} {titles[name]}", *(_share(row, key) for key in SHARES)] for name, row in rows.items()]
    costs = [
        [name[:3], _number(row["tokens_per_question"], 0), _number(row["usd_per_1000_questions"], 3),
         _number(row["p95_ms"], 0), _stages(row["stages_p95_ms"])]
        for name, row in rows.items()
    ]  # fmt: skip
    command = f"course scoreboard --measure {split} --write {PAGE} --picture {PICTURE}"
    return "\n\n".join(
        [
            f"Corpus `{checksum[:12]}`, {asked} questions of the {split} split, simulated models. Made by `{command}`; do not edit.",
            "Each row is the system as it stands after the module, measured by that module's notebook. 95 % bootstrap "
            "intervals over questions in brackets. Answered correctly: all key facts of an answerable question, no known "
            "wrong fact. Abstained rightly: of the questions that this asker gets no answer to.",
            table(["After", *SHARES.values()], quality),
            "Tokens count prompt and reply. Milliseconds are those of the machine that measured, with all that it had to do.",
            table(["After", "tokens per question", "USD per 1,000 questions", "p95 ms", "p95 ms by stage"], costs),
        ]
    )


def draw(rows: Rows) -> Figure:
    """Quality with intervals, module by module, and what a question costs. The caller saves and closes the figure."""
    import matplotlib.pyplot as plt

    plots.use_style()
    figure, (quality, cost) = plt.subplots(1, 2, figsize=(11, 4), width_ratios=(3, 2))
    names = [name[:3] for name in rows]
    for place, (key, label) in enumerate(SHARES.items()):
        known = [(x, row[key], row["intervals"][key]) for x, row in enumerate(rows.values()) if row[key] is not None]
        quality.errorbar(
            [x + (place - 1.5) * 0.08 for x, _, _ in known],
            [100 * share for _, share, _ in known],
            yerr=[[100 * abs(share - ends[side]) for _, share, ends in known] for side in (0, 1)],
            marker="o", capsize=2, label=label,
        )  # fmt: skip
    quality.set(ylabel="percent of questions", ylim=(0, 100), title="Quality, with 95 % intervals")
    quality.set_xticks(range(len(names)), names)
    quality.legend(fontsize=8)
    cost.bar(names, [row["usd_per_1000_questions"] or 0.0 for row in rows.values()], color=plots.ORANGE)
    cost.set(ylabel="USD per 1,000 questions", title="Cost")
    return figure


def write(rows: Rows, split: str, checksum: str, page: Path | None, picture: Path | None) -> list[Path]:
    """Write the section and the picture; gives the files written. Raises as `corpus.page.write_section` does."""
    import matplotlib.pyplot as plt

    from coursekit.corpus import page as pages

    written = []
    if page is not None:
        written.append(pages.write_section(page, SECTION, markdown(rows, split, checksum)))
    if picture is not None:
        figure = draw(rows)
        figure.savefig(picture, dpi=110)
        plt.close(figure)
        written.append(picture)
    return written


def _share(row: Mapping[str, Any], key: str) -> str:
    if row[key] is None:
        return "–"
    low, high = row["intervals"][key]
    return f"{row[key]:.2f} [{low:.2f}, {high:.2f}]"


def _number(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:,.{digits}f}"


def _stages(stages: Mapping[str, float]) -> str:
    return " · ".join(f"{name} {ms:,.0f}" for name, ms in stages.items()) or "–"
