"""What the commands print: rich tables made from the library's records."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import psutil
from rich import box
from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from coursekit import manifest, settings, workspace

if TYPE_CHECKING:
    from coursekit.benchmarks import Measurement
    from coursekit.corpus.summary import Summary
    from coursekit.diagnosis import Finding
    from coursekit.grading.autograde import Report
    from coursekit.grading.bench import GradingRow
    from coursekit.grading.endurance import Endurance
    from coursekit.grading.recording.audit import Entry, Run
    from coursekit.grading.reporting.similarity import Pair
    from coursekit.grading.reporting.statistics import Statistics
    from coursekit.grading.results import Finding as SubmissionFinding
    from coursekit.grading.results import Grade
    from coursekit.model_card.measuring import ExamShare

_MOST_PAIRS = 30
_MARKS = {"passed": "[green]✓[/]", "failed": "[red]✗[/]", "stale": "[yellow]↻[/]", "not run": "[dim]·[/]"}


def show(renderable: RenderableType) -> None:
    """Print to stdout, in colour where it is a terminal."""
    Console().print(renderable)


@contextmanager
def spinner(text: str) -> Iterator[None]:
    """Say what is going on while it goes on."""
    console = Console(stderr=True)
    if not console.is_terminal:
        console.print(text)
        yield
        return
    with console.status(text):
        yield


@contextmanager
def progress(text: str, total: int) -> Iterator[Callable[[], None]]:
    """A progress bar; call what it yields once per finished step."""
    console = Console(stderr=True)
    if not console.is_terminal:
        counter = itertools.count(1)
        yield lambda: console.print(f"{text}: {next(counter)} of {total}")
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as bar:
        task = bar.add_task(text, total=total)
        yield lambda: bar.advance(task)


def status(where: settings.Settings, course: manifest.Manifest) -> RenderableType:
    """Progress by module, then the origin of every file of the system."""
    modules = Table(box=box.SIMPLE_HEAD, title="your progress", title_justify="left")
    modules.add_column("module", no_wrap=True)
    modules.add_column("points", justify="right", no_wrap=True)
    modules.add_column("checks")
    total = possible = 0.0
    again: list[str] = []
    for module in course.modules:
        states = workspace.check_states(where, course, module)
        worth = workspace.check_ids(where, module)
        earned = sum(worth[check_id] for check_id, state in states.items() if state == "passed")
        total, possible = total + earned, possible + sum(worth.values())
        marks = " ".join(_MARKS[state] for state in states.values())
        modules.add_row(module.id, f"{earned:g} / {sum(worth.values()):g}", marks)
        again += [check_id for check_id, state in states.items() if state == "stale"]
    modules.add_section()
    modules.add_row("public checks so far", f"{total:g} / {possible:g}", "")
    notes = "✓ passed  ✗ failed  ↻ changed since it passed  · not run\nhidden tests: course check MODULE\n"
    if again:
        notes += f"run again, because the code that they test has changed: {', '.join(again)}\n"
    files = Table(box=box.SIMPLE_HEAD, title=f"your system: {course.package}", title_justify="left")
    for name in ("file", "from", "because"):
        files.add_column(name)
    for file in workspace.resolve(where, course).values():
        colour = "green" if file.origin == "yours" else "dim"
        files.add_row(file.name, f"[{colour}]{file.origin}[/]", file.reason)
    return Group(modules, Text(notes, style="dim"), files)


def grade(result: Grade) -> RenderableType:
    """One learner's result, check by check, with the message of each failure."""
    if result.error:
        return Panel(result.error, title=f"{result.module_id}: not graded", border_style="red")
    title = f"{result.module_id}, hidden tests included"
    table = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", min_width=len(title) + 4)
    table.add_column("")
    table.add_column("check")
    table.add_column("points", justify="right")
    for check in result.checks:
        mark = _MARKS["passed" if check.passed else "failed"]
        weaker = " [dim](judged beside your code: weaker)[/]" if check.weaker else ""
        table.add_row(mark, f"{check.check_id}{weaker}", f"{check.points:g} / {check.max_points:g}")
    table.add_section()
    table.add_row("", "total", f"{result.points:g} / {result.max_points:g}")
    unsolved = [check.check_id for check in result.checks if " is not solved yet" in check.message]
    notes = [Text(f"not solved yet: {', '.join(unsolved)}", style="dim")] if unsolved else []
    for check in result.checks:
        if check.message and check.check_id not in unsolved:
            named = check.message if check.message.startswith(check.check_id) else f"{check.check_id}: {check.message}"
            notes.append(Text(f"\n{named}", style="red"))
    return Group(table, *notes)


def grading_reports(reports: Sequence[Report]) -> RenderableType:
    """One row per submission that was graded in this run, and how many needed nothing."""
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("student")
    table.add_column("points", justify="right")
    table.add_column("failed checks, or why there is no grade")
    fresh = [report for report in reports if report.recorded is not None]
    for report in sorted(fresh, key=lambda report: report.student):
        recorded, grade = report.recorded, report.grade
        assert recorded is not None and grade is not None
        score = recorded.points if recorded.score is None else recorded.score
        points = f"{score:g} / {recorded.max_points:g}"
        if recorded.status == "graded":
            late = f"  (late: −{recorded.penalty:g})" if recorded.penalty else ""
            tampered = "  ⚠ tampering" if any(f.kind == "tamper" for f in recorded.findings) else ""
            failed = ", ".join(check.check_id for check in grade.checks if not check.passed)
            mended = "  (repaired)" if any(f.kind == "repair" for f in recorded.findings) else ""
            by_hand = "  (with points given by hand)" if not math.isclose(score, recorded.points) else ""
            table.add_row(report.student, points, Text(f"{failed}{late}{by_hand}{mended}{tampered}"))
        else:
            says = {"rejected": "not graded", "kept": "rejected, the earlier grade stands", "failed": "not recorded"}
            table.add_row(report.student, points, Text(f"{says[recorded.status]}: {recorded.message}", style="red"))
    done = len(reports) - len(fresh)
    note = Text(f"{done} graded already and unchanged (--again grades them too)" if done else "", "dim")
    return Group(table, note) if fresh else note


def statistics(result: Statistics) -> RenderableType:
    """One row per exercise, its checks below it: how many passed, how well it separates, what went wrong most often."""
    title = f"{result.module_id}: {result.graded} graded, {result.rejected} rejected"
    table = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left")
    table.add_column("exercise, check", no_wrap=True)
    for name in ("n", "passed", "mean", "discrimination"):
        table.add_column(name, justify="right")
    table.add_column("most frequent failures")
    for item in result.items:
        if item.kind == "exercise":
            table.add_section()
        style = "bold" if item.kind == "exercise" else ""
        discrimination = "–" if item.discrimination is None else f"{item.discrimination:+.2f}"
        failures = "" if item.kind == "exercise" else "\n".join(f"{count} × {text}" for text, count in item.messages)
        label = Text(item.name if item.kind == "exercise" else f"  {item.name}", style=style)
        numbers = (str(item.n), f"{item.pass_rate:.0%}", f"{item.mean_share:.0%}", discrimination)
        table.add_row(label, *numbers, Text(failures, style="dim"))
    return Group(table, Text("passed: full points. discrimination: passing it goes with the rest of the score.", "dim"))


def similarity(pairs: Sequence[Pair]) -> RenderableType:
    """One row per two students whose solutions are more alike than chance, the most alike first."""
    if not pairs:
        return Text("no solutions of different students are unusually alike")
    together: dict[tuple[str, str], list[Pair]] = {}
    for pair in pairs:
        together.setdefault((pair.first, pair.second), []).append(pair)
    ranked = sorted(together.items(), key=lambda item: (-len(item[1]), -sum(pair.share for pair in item[1]), item[0]))
    table = Table(box=box.SIMPLE_HEAD)
    for name in ("student", "student", "alike", "exercises"):
        table.add_column(name, justify="right" if name == "alike" else "left")
    for (first, second), theirs in ranked[:_MOST_PAIRS]:
        share = sum(pair.share for pair in theirs) / len(theirs)
        table.add_row(Text(first), Text(second), f"{share:.0%}", Text(", ".join(pair.exercise for pair in theirs)))
    more = f"{len(ranked) - _MOST_PAIRS} more pairs; raise --threshold. " if len(ranked) > _MOST_PAIRS else ""
    return Group(table, Text(f"{more}A reason to look at both texts, not a verdict.", style="dim"))


def submission_findings(found: Sequence[tuple[Entry, SubmissionFinding]]) -> RenderableType:
    """One row per thing that a person may want to know about a submission, such as an attempt to change a check."""
    if not found:
        return Text("nothing was found")
    table = Table(box=box.SIMPLE_HEAD)
    for name in ("student", "kind", "cell", "what"):
        table.add_column(name)
    for entry, finding in found:
        style = "red" if finding.kind == "tamper" else ""
        table.add_row(
            *(Text(t, style=style) for t in (entry.student, finding.kind, finding.cell or "", finding.message))
        )
    return table


def grading_runs(runs: Sequence[Run]) -> Table:
    """One row per run of the grader, newest first."""
    table = Table(box=box.SIMPLE_HEAD)
    for name in ("started", "module", "by", "graded", "rejected", "failed", "skipped", "ended"):
        table.add_column(name, justify="right" if name in ("graded", "rejected", "failed", "skipped") else "left")
    for run in runs:
        if run.interrupted and run.ended is None and psutil.pid_exists(run.pid):
            ended = Text("running")
        else:
            ended = Text("interrupted", style="red") if run.interrupted else Text(run.ended or "")
        counts = (str(run.graded), str(run.rejected), str(run.failed), str(run.skipped))
        table.add_row(run.started, run.module, Text(f"{run.who}@{run.host}"), *counts, ended)
    return table


def findings(results: Sequence[Finding]) -> Table:
    """One row per thing examined; the fix stands below a bad one."""
    table = Table(box=box.SIMPLE_HEAD, show_header=False)
    for finding in results:
        mark = _MARKS["passed" if finding.ok else "failed"]
        table.add_row(mark, finding.what, Text(finding.found, style="" if finding.ok else "red"))
    return table


def benchmarks(rows: Sequence[Measurement]) -> Table:
    """One row per comparison."""
    table = Table(box=box.SIMPLE_HEAD)
    for name in ("what", "measured", "against", "ratio"):
        table.add_column(name, justify="right" if name == "ratio" else "left")
    for row in rows:
        table.add_row(row.what, row.measured, row.against, f"{row.ratio:.2f}×")
    return table


def grading_benchmark(rows: Sequence[GradingRow]) -> Table:
    """One row per way of grading the same submissions; ratios are against stock nbgrader in the same run."""
    table = Table(box=box.SIMPLE_HEAD)
    for name in ("grader", "submissions", "n", "s each", "CPU s each", "stock ÷ this", "MB per worker", "same points"):
        table.add_column(name, justify="left" if name in ("grader", "submissions") else "right")
    for row in rows:
        memory = "–" if row.memory_mb is None else f"{row.memory_mb:.0f}"
        numbers = (
            str(row.submissions),
            f"{row.seconds_each:.2f}",
            f"{row.cpu_each:.2f}",
            f"{row.ratio:.1f}×",
            memory,
            row.same or "–",
        )
        table.add_row(row.how, row.kind, *numbers)
    return table


def endurance(result: Endurance) -> Group:
    """What a large class and a killed grader came to."""
    table = Table(box=box.SIMPLE_HEAD, show_header=False)
    table.add_row(
        "submissions", f"{result.submissions}, {result.workers} workers, killed {result.kills} times and resumed"
    )
    table.add_row("wall time", f"{result.seconds:.0f} s, {result.seconds / result.submissions:.2f} s each")
    for when, sample in (("first tenth", result.first), ("last tenth", result.last)):
        table.add_row(f"memory, {when}", f"grader {sample.grader_mb:.0f} MB, its children {sample.stations_mb:.0f} MB")
    table.add_row("processes left by kills", str(result.left_over))
    wrong = Text("none" if not result.wrong else ", ".join(result.wrong[:20]), style="red" if result.wrong else "")
    table.add_row("wrong rows", wrong)
    return Group(table)


def corpus(found: Summary) -> RenderableType:
    """A corpus in numbers: documents by label, lengths, questions by category and split, judgments and agreement."""
    by_label = Table(box=box.SIMPLE_HEAD, title=f"{len(found.lengths)} documents", title_justify="left")
    by_label.add_column("by", no_wrap=True)
    by_label.add_column("how many")
    for name, counts in found.documents.items():
        by_label.add_row(name, Text(", ".join(f"{label} {count}" for label, count in counts.items()) or "none"))
    shares = (("min", 0.0), ("median", 0.5), ("p90", 0.9), ("max", 1.0))
    lengths = "  ".join(f"{name} {found.length(share):,}" for name, share in shares)
    by_label.add_section()
    by_label.add_row("words", Text(f"{lengths}  together {sum(found.lengths):,}"))
    return Group(by_label, _corpus_questions(found), _corpus_judgments(found))


def _corpus_questions(found: Summary) -> RenderableType:
    splits = list(found.categories[0].by_split)
    table = Table(box=box.SIMPLE_HEAD, title=f"{found.questions} questions", title_justify="left", show_footer=True)
    table.add_column("category", footer="all", no_wrap=True)
    for split in splits:
        table.add_column(split, justify="right", footer=str(sum(row.by_split[split] for row in found.categories)))
    table.add_column("answerable", justify="right", footer=str(sum(row.answerable for row in found.categories)))
    for name in ("relevant", "answering"):
        table.add_column(name, justify="right")
    for row in found.categories:
        means = ("–" if mean is None else f"{mean:.1f}" for mean in (row.relevant, row.answering))
        table.add_row(row.category, *(str(row.by_split[split]) for split in splits), str(row.answerable), *means)
    notes = "relevant, answering: mean number of documents judged above 0, and judged 2, per answerable question"
    if found.overlap is not None:
        notes += f"\nmedian word overlap of question and passage, outside of category identifier: {found.overlap:.0%}"
    return Group(table, Text(notes, style="dim"))


def _corpus_judgments(found: Summary) -> RenderableType:
    grades = [sum(row.grades[grade] for row in found.categories) for grade in range(3)]
    table = Table(box=box.SIMPLE_HEAD, title="judgments", title_justify="left", show_header=False)
    table.add_column(no_wrap=True)
    table.add_column()
    table.add_row("judged pairs", f"{found.judged}: grade 2 {grades[2]}, grade 1 {grades[1]}, grade 0 {grades[0]}")
    if found.pooled:
        table.add_row("pool", f"{found.pooled} pairs were shown to the judges, all of them judged")
    agreement = found.agreement
    if agreement is None:
        table.add_row("agreement", "not measured: there are no judging passes")
    else:
        table.add_row("judged twice", f"{agreement.pairs} pairs")
        same = f"{agreement.observed:.1%} same grade, {agreement.observed_binary:.1%} same verdict (relevant or not)"
        if agreement.observed_relevant is not None:
            share = f"{agreement.observed_relevant:.1%} of the {agreement.relevant} pairs"
            same += f"; {share} that somebody found relevant"
        table.add_row("observed agreement", same)
        kappas = {"grades": agreement.kappa, "linear": agreement.kappa_linear, "binary": agreement.kappa_binary}
        undefined = "undefined (only one grade was given)"
        shown = (f"{name} {undefined if kappa is None else f'{kappa:.2f}'}" for name, kappa in kappas.items())
        table.add_row("Cohen's kappa", ", ".join(shown))
    table.add_row("checksum", found.checksum[:12])
    return table


def exams(found: Sequence[ExamShare]) -> Table:
    """What the simulated models can do: a row per skill, measure and half, a column per model."""
    names = list(dict.fromkeys(m.model for m in found))
    table = Table(box=box.SIMPLE_HEAD)
    for name in ("skill", "measure", "split"):
        table.add_column(name)
    for name in names:
        table.add_column(name, justify="right")
    for skill, measure, split in dict.fromkeys((m.skill, m.measure, m.split) for m in found):
        cells = {m.model: m.share for m in found if (m.skill, m.measure, m.split) == (skill, measure, split)}
        table.add_row(
            skill, measure, split, *(f"{100 * cells[name].mean:.0f} %" if name in cells else "–" for name in names)
        )
    return table


def scoreboard(rows: Mapping[str, Mapping[str, Any]]) -> RenderableType:
    """One row per module that has been measured, shares with their 95 % intervals; fits eighty columns."""
    from coursekit.scoreboard import SHARES  # here, because it loads numpy, which most commands do without

    if not rows:
        return Text("Nothing has been measured yet: the last section of each notebook measures the system.")
    table = Table(box=box.SIMPLE_HEAD)
    heads = "module|recall\n@5|nDCG\n@10|ans-\nwered|abs-\ntained|p95\nms|tokens|USD\n/1,000|n"
    for name in heads.split("|"):
        table.add_column(name, justify="left" if name == "module" else "right")
    for module_id, row in rows.items():
        shares = [_share(row, key) for key in SHARES]
        numbers = [("p95_ms", ",.0f"), ("tokens_per_question", ",.0f"), ("usd_per_1000_questions", ".3f")]
        cells = ["–" if row.get(key) is None else format(row[key], how) for key, how in numbers]
        table.add_row(
            module_id.partition("_")[0],
            *shares,
            *cells,
            f"{row.get('questions') or '–'}\n{row.get('split') or ''}".strip(),
        )
    return table


def _share(row: Mapping[str, Any], key: str) -> str:
    if row.get(key) is None:
        return "–"
    ends = row.get("intervals", {}).get(key)
    return f"{row[key]:.2f}" + (f"\n[dim]{100 * ends[0]:.0f}–{100 * ends[1]:.0f} %[/]" if ends else "")
