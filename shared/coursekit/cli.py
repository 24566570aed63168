"""The `course` command: parse, call one function, print. Everything else is in the library."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from coursekit import __version__, cli_corpus, cli_models, manifest, settings
from coursekit.errors import CourseError

app = typer.Typer(
    name="course",
    help="Study, run, release and grade the course. Start with: course lab",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    add_completion=False,
)

Modules = Annotated[list[str] | None, typer.Argument(help="Module ids, or their beginnings (m01). Default: all.")]
OneModule = Annotated[str, typer.Argument(help="A module's id, or its beginning (m01).")]
Isolation = Annotated[
    str,
    typer.Option(help="Where learners' code runs: auto, docker, podman, bwrap, namespaces or plain (not isolated)."),
]
STUDY, TEACH, BUILD = "Study", "Teach", "Build"
app.add_typer(cli_corpus.app, name="corpus", rich_help_panel=BUILD)
app.add_typer(cli_models.app, name="models", rich_help_panel=BUILD)


class Bench(StrEnum):
    """What `course bench` measures."""

    course = "course"
    grading = "grading"
    endurance = "endurance"
    rag = "rag"


class Embedding(StrEnum):
    """Whose vectors `course bench rag` uses."""

    default = "default"
    fast = "fast"


class ExportShape(StrEnum):
    """The columns of an exported gradebook."""

    nbgrader = "nbgrader"
    json = "json"
    canvas = "canvas"
    moodle = "moodle"


def _short(path: Path, where: settings.Settings) -> Path:
    """The path from the course's root where it lies below it."""
    return path.relative_to(where.root) if path.is_relative_to(where.root) else path


def main() -> None:
    """Run the command; a problem that a person can fix becomes one message and an exit code."""
    try:
        app(prog_name="course")
    except CourseError as error:
        print(f"course: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        print("\ncourse: interrupted; nothing is lost, run the same command again.", file=sys.stderr)
        sys.exit(130)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"course {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


def _course() -> tuple[settings.Settings, manifest.Manifest]:
    where = settings.load()
    return where, manifest.load(where.root)


def _chosen(course: manifest.Manifest, names: list[str] | None) -> list[manifest.Module]:
    return [course.module(name) for name in names] if names else list(course.modules)


# ── study ────────────────────────────────────────────────────────────────────────────────────────────────────


@app.command(rich_help_panel=STUDY)
def lab(
    module: Annotated[
        str | None,
        typer.Argument(help="The module to open (m03). Default: the first one not all of whose checks passed."),
    ] = None,
    ip: Annotated[
        str, typer.Option(help="The address to listen on; 0.0.0.0 lets other machines in (a container needs it).")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port to listen on; the next free one when it is taken.")] = 8888,
    browser: Annotated[bool, typer.Option(help="Open a browser window.")] = True,
) -> None:
    """Open JupyterLab on your copies of the notebooks, with everything running.

    Example:  course lab   |   course lab m03   |   course lab --port 9000 --no-browser
    """
    from coursekit import lab as lab_module

    where, course = _course()
    opened = course.module(module) if module else lab_module.next_module(where, course)
    sys.exit(lab_module.start(where, course, opened, ip=ip, port=port, browser=browser, say=print))


@app.command(rich_help_panel=STUDY)
def status() -> None:
    """Show your progress: points by module, each check's state, and which files of the system are yours.

    Example:  course status
    """
    from coursekit import tables

    where, course = _course()
    tables.show(tables.status(where, course))


@app.command(rich_help_panel=STUDY)
def check(
    module: OneModule,
    exercises: Annotated[
        list[str] | None, typer.Argument(help="Only these exercises' checks. Default: all.", metavar="[EXERCISE]...")
    ] = None,
    isolation: Isolation = "auto",
) -> None:
    """Grade your own notebook of MODULE here as the grader will, hidden tests included. Save it in JupyterLab first.

    Example:  course check m01   |   course check m01 m01-bpe
    """
    from coursekit import tables, workspace
    from coursekit.errors import GradingError
    from coursekit.grading import autograde

    where, course = _course()
    chosen = course.module(module)
    only = {"me": workspace.checks_of(where, chosen, exercises)} if exercises else None
    own = workspace.learner_notebook(where, chosen.id)
    if not own.exists():
        raise GradingError(f"{own} does not exist. `course lab` makes your copy of every notebook.")
    with tables.spinner(f"grading {own.relative_to(where.root)}"):
        result = autograde.grade_apart(where, course, chosen, {"me": own}, only=only, isolation=isolation)["me"]
    tables.show(tables.grade(result))
    sys.exit(0 if result.error is None and not result.failed_checks else 1)


@app.command(rich_help_panel=STUDY)
def reset(module: OneModule) -> None:
    """Start MODULE's notebook afresh; your present copy is kept beside it, what it exported and its progress are removed.

    Example:  course reset m01
    """
    from coursekit import workspace

    where, course = _course()
    kept = workspace.reset_notebook(where, course.package, course.module(module))
    print(f"a fresh copy is ready; your earlier work is kept at {kept.relative_to(where.root)}")


@app.command(rich_help_panel=STUDY)
def portfolio(
    target: Annotated[Path, typer.Argument(help="The folder to write; must not exist, or be an earlier portfolio.")],
) -> None:
    """Write your system as a repository of its own: package, tests, Dockerfile, README.

    Example:  course portfolio ~/my-assistant
    """
    from coursekit import portfolio as portfolio_module

    where, course = _course()
    files = portfolio_module.write(where, course, target.resolve())
    yours = sum(file.origin == "yours" for file in files.values())
    print(f"wrote {target}: {len(files)} modules, {yours} of them yours, the others from the reference")


@app.command(rich_help_panel=STUDY)
def serve(
    port: Annotated[int, typer.Option(help="The simulated models' port; 0 takes a free one.")] = 8089,
) -> None:
    """Start Postgres and the simulated models for use outside of notebooks; prints their addresses; Ctrl-C ends both.

    Example:  course serve --port 8089
    """
    from coursekit import serving

    where, course = _course()
    serving.serve(where, course, port=port, say=print)


@app.command(rich_help_panel=STUDY)
def doctor() -> None:
    """Check this machine: Python, packages, course.yml, corpus, Postgres, pgvector, models, Jupyter.

    Example:  course doctor
    """
    from coursekit import diagnosis, tables

    findings = diagnosis.examine()
    tables.show(tables.findings(findings))
    sys.exit(0 if all(finding.ok for finding in findings) else 1)


# ── teach ────────────────────────────────────────────────────────────────────────────────────────────────────


@app.command(rich_help_panel=TEACH)
def release(
    modules: Modules = None,
    check_only: Annotated[bool, typer.Option("--check", help="Only report which releases are out of date.")] = False,
) -> None:
    """Generate notebooks/ from solutions/ and register the checks in the gradebook.

    Example:  course release m01   |   course release --check
    """
    from coursekit.grading import release as release_module

    where, course = _course()
    chosen = _chosen(course, modules)
    if check_only:
        stale = release_module.outdated(where, chosen)
        print(f"out of date: {', '.join(stale)}. Run: course release" if stale else "every release is up to date")
        sys.exit(1 if stale else 0)
    for path in release_module.release(where, chosen):
        print(f"released {path.relative_to(where.root)}")


@app.command(rich_help_panel=TEACH)
def grade(
    module: OneModule,
    student: Annotated[list[str] | None, typer.Option(help="Only this student; may be repeated.")] = None,
    isolation: Isolation = "auto",
    workers: Annotated[
        int | None, typer.Option(min=1, help="Submissions at the same time. Default: as course.yml says.")
    ] = None,
    scheduler: Annotated[str | None, typer.Option(help="A Dask scheduler's address, to grade on its workers.")] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Grade also what is graded already and has not changed.")
    ] = False,
) -> None:
    """Autograde the submissions of MODULE under .course/grading/submitted/ into the gradebook.

    Each submission runs isolated, its checks in another process. Interrupted, run it again: it goes on where it was.

    Example:  course grade m01   |   course grade m01 --student ada --again   |   course grade m01 --isolation bwrap
    """
    from coursekit import tables
    from coursekit.grading import autograde
    from coursekit.grading.isolation import backends

    where, course = _course()
    chosen = course.module(module)
    students = list(student or [])
    total = len(students or autograde.submitted_students(where, chosen))
    if scheduler is None:
        backend = backends.choose(isolation)
        print(f"isolation: {backend.name} ({backend.summary})")
    try:
        with tables.progress(f"grading {chosen.id}", total) as step:
            reports = autograde.grade_course(
                where,
                course,
                chosen,
                students,
                isolation=isolation,
                workers=workers,
                scheduler=scheduler,
                again=again,
                on_grade=lambda _: step(),
            )
    except KeyboardInterrupt:
        print("course: stopped; what was graded is recorded, and the same command goes on from there.", file=sys.stderr)
        sys.exit(130)
    tables.show(tables.grading_reports(reports))
    sys.exit(1 if any(report.recorded and report.recorded.status == "failed" for report in reports) else 0)


@app.command(rich_help_panel=TEACH)
def feedback(
    module: OneModule,
    student: Annotated[list[str] | None, typer.Option(help="Only this student; may be repeated.")] = None,
) -> None:
    """Write feedback pages for every graded submission of MODULE to .course/grading/feedback/. They show no hidden test.

    Example:  course feedback m01
    """
    from coursekit import tables
    from coursekit.grading.reporting import feedback as feedback_module

    where, course = _course()
    chosen = course.module(module)
    graded = list(where.grading_dir.glob(f"autograded/*/{chosen.id}/{chosen.id}.ipynb"))
    with tables.progress(f"feedback for {chosen.id}", len(student or graded)) as step:
        pages = feedback_module.write(where, chosen, list(student or []), on_page=lambda _: step())
    for page in pages:
        print(f"no page for {page.student}: {page.problem}" if page.problem else f"wrote {_short(page.path, where)}")
    sys.exit(1 if any(page.problem for page in pages) else 0)


@app.command("export-grades", rich_help_panel=TEACH)
def export_grades(
    target: Annotated[Path, typer.Argument(help="The file to write.")] = Path("grades.csv"),
    shape: Annotated[ExportShape, typer.Option(help="Columns as this system reads them.")] = ExportShape.nbgrader,
    module: Annotated[list[str] | None, typer.Option(help="Only this module; may be repeated.")] = None,
) -> None:
    """Write the gradebook as a file: nbgrader's own CSV, JSON, or CSV for Canvas or Moodle.

    Example:  course export-grades grades.csv   |   course export-grades m01.csv --shape moodle --module m01
    """
    from coursekit.grading.reporting import exports

    where, course = _course()
    modules = [course.module(name) for name in module or []]
    rows = exports.write(where, target.resolve(), shape=shape.value, modules=modules)
    print(f"wrote {rows} rows to {target}")


@app.command(rich_help_panel=TEACH)
def insights(
    module: OneModule,
    threshold: Annotated[
        float, typer.Option(min=0.1, max=1.0, help="From which share of equal code a pair of solutions is shown.")
    ] = 0.6,
) -> None:
    """Look at a graded class: what each check is worth, what goes wrong most, similar solutions, tampering, the last runs.

    Example:  course insights m01 --threshold 0.8
    """
    from coursekit import notebooks, tables, workspace
    from coursekit.grading.judging import INSIDE_TAG
    from coursekit.grading.recording import audit
    from coursekit.grading.reporting import similarity, statistics

    where, course = _course()
    chosen = course.module(module)
    found = statistics.of_module(where, chosen)
    tables.show(tables.statistics(found))
    picture = where.grading_dir / f"{chosen.id}-statistics.png"
    statistics.figure(found).savefig(picture)
    print(f"as a picture: {_short(picture, where)}\n\nsimilar solutions")
    tables.show(tables.similarity(similarity.of_module(where, chosen, threshold=threshold)))
    weaker = notebooks.tagged_checks(workspace.source_notebook(where, chosen.id), INSIDE_TAG)
    if weaker:
        print(f"\njudged in the learner's own process, so weaker: {', '.join(weaker)}")
    with audit.reading(where.grading_dir) as log:
        print("\ntampering and repairs")
        tables.show(tables.submission_findings(audit.findings(log.latest(chosen.id), ["tamper", "repair"])))
        print("\nthe last runs of the grader")
        tables.show(tables.grading_runs(log.runs()))


# ── build ────────────────────────────────────────────────────────────────────────────────────────────────────


@app.command(rich_help_panel=BUILD)
def run(
    modules: Annotated[
        list[str] | None, typer.Argument(help="Module ids, or paths of notebooks. Default: every solution.")
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers", "--jobs", "-j", min=1, help="Notebooks executed at the same time. Default: as course.yml says."
        ),
    ] = None,
    html: Annotated[bool, typer.Option("--html", help="Write an HTML page beside each executed notebook.")] = False,
) -> None:
    """Execute solution notebooks with papermill into .course/runs/, each on a fresh database.

    Example:  course run m00 m01 --html
    """
    from rich.console import Console

    from coursekit.running import report as running_report
    from coursekit.running import runner as running

    where, course = _course()
    console = Console()
    with running_report.RunProgress(console) as progress:
        targets = modules or [module.id for module in course.modules]
        results = running.run(targets, workers=workers, html=html, on_event=progress, zygote=where.forks_kernels)
    console.print(running_report.summary_table(results))
    for result in results:
        if not result.ok:
            console.print(running_report.failure_panel(result))
    if any(result.status == "interrupted" for result in results):
        raise KeyboardInterrupt
    sys.exit(0 if all(result.ok for result in results) else 1)


@app.command(rich_help_panel=BUILD)
def scoreboard(
    measure: Annotated[
        str | None, typer.Option(help="Run all notebooks on every question of this split, dev or test, first.")
    ] = None,
    write: Annotated[Path | None, typer.Option(help="Put the tables between this page's markers.")] = None,
    picture: Annotated[Path | None, typer.Option(help="Draw the rows into this PNG file.")] = None,
) -> None:
    """Show the course's numbers, one row per module: your own, or with --measure the reference's on a whole split.

    Example:  course scoreboard   |   course scoreboard --measure test --write docs/scoreboard.md
    """
    from rich.console import Console

    from coursekit import corpus, scoreboard_page, tables
    from coursekit import scoreboard as scoreboard_module
    from coursekit.corpus import page as pages
    from coursekit.errors import CourseError
    from coursekit.running import report as running_report

    where, course = _course()
    if measure is None:
        if write or picture:
            raise CourseError("--write and --picture need --measure: a page tells which questions were asked.")
        tables.show(tables.scoreboard(scoreboard_module.load_rows()))
        return
    if measure not in corpus.SPLITS:
        raise CourseError(f"--measure {measure}: there is no such split. Allowed: {', '.join(corpus.SPLITS)}.")
    if write is not None:
        pages.read_section(write, scoreboard_page.SECTION)  # before the work: a page without markers cannot take it
    with running_report.RunProgress(Console()) as progress:
        rows = scoreboard_page.measure(where, measure, [module.id for module in course.modules], on_event=progress)
    tables.show(tables.scoreboard(rows))
    for path in scoreboard_page.write(rows, measure, corpus.load().checksum, write, picture):
        print(f"wrote {path}")


@app.command(rich_help_panel=BUILD)
def bench(
    what: Annotated[
        Bench,
        typer.Argument(
            help="The course's own speed; the grader's; a large class, killed twice; the assistant beside its peers."
        ),
    ] = Bench.course,
    module: Annotated[str, typer.Option(help="grading: the module whose submissions are graded.")] = "m01",
    submissions: Annotated[int | None, typer.Option(min=1, help="How many. Default: 40; endurance: 1000.")] = None,
    sample: Annotated[int, typer.Option(min=1, help="grading: how many of them stock nbgrader grades too.")] = 4,
    workers: Annotated[int | None, typer.Option(min=1, help="Submissions at the same time.")] = None,
    isolation: Annotated[list[str] | None, typer.Option(help="May be repeated. Default: auto, and plain.")] = None,
    chunks: Annotated[
        list[int] | None, typer.Option(min=1000, help="rag: Harborline among so many. Default: 10000, and 100000.")
    ] = None,
    corpus: Annotated[
        Path | None, typer.Option(help="rag: a folder of your own in BEIR's layout, instead of the built-in texts.")
    ] = None,
    embedding: Annotated[
        Embedding | None,
        typer.Option(help="rag: whose vectors. Default: MiniLM up to 20,000 chunks, then the fast ones."),
    ] = None,
    peers: Annotated[bool, typer.Option(help="rag: measure LangChain and LlamaIndex too.")] = True,
    write: Annotated[Path | None, typer.Option(help="rag: put the tables between this page's markers.")] = None,
) -> None:
    """Measure speed, as ratios within one run; `rag` also quality, beside other libraries.

    Example:  course bench   |   course bench grading --sample 8   |   course bench rag --corpus ~/scifact --no-peers
    """
    from coursekit import tables

    if what is Bench.course:
        from coursekit import benchmarks

        with tables.spinner("measuring (about a minute)"):
            rows = benchmarks.measure()
        tables.show(tables.benchmarks(rows))
    elif what is Bench.endurance:
        from coursekit.grading import endurance

        count = submissions or 1000
        result = endurance.endure(
            count,
            workers or 2,
            isolation=(isolation or ["auto"])[0],
            say=lambda done: print(f"{done} of {count}", file=sys.stderr),
        )
        tables.show(tables.endurance(result))
        sys.exit(1 if result.wrong or result.left_over else 0)
    elif what is Bench.rag:
        from coursekit.bench_rag import command

        shown, written = command.run(
            chunks=chunks,
            corpus=corpus,
            embedding=embedding.value if embedding else None,
            peers=peers,
            write=write,
            say=lambda text: print(text, file=sys.stderr),
        )
        tables.show(shown)
        for path in written:
            print(f"wrote {path}")
    else:
        from coursekit.grading import bench as bench_module

        where, course = _course()
        count = submissions or 40
        measured = bench_module.measure_grading(
            where,
            course,
            course.module(module),
            submissions=count,
            sample=min(sample, count),
            workers=workers,
            isolations=tuple(isolation or ("auto", "plain")),
            say=lambda text: print(text, file=sys.stderr),
        )
        tables.show(tables.grading_benchmark(measured))


@app.command(rich_help_panel=BUILD, context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def test(context: typer.Context) -> None:
    """Run the project's tests, in parallel; with arguments, pytest with these.

    Example:  course test   |   course test tests/coursekit -k export
    """
    import os

    where, _ = _course()
    everything = ["-n", str(min(os.cpu_count() or 2, 4))]
    command = [sys.executable, "-m", "pytest", *(context.args or everything)]
    os.chdir(where.root)
    os.execv(sys.executable, command)
