"""`course corpus …`: check, count and seal a folder of documents, questions and judgments."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from coursekit.corpus import Corpus

app = typer.Typer(
    help="Check a corpus, count what it holds, rebuild its checksums.\n\nExample:  course corpus check",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    add_completion=False,
)

Folder = Annotated[Path | None, typer.Argument(help="A corpus folder. Default: the one that course.yml names.")]
Write = Annotated[Path | None, typer.Option(help="Put the tables between this page's markers.")]
Picture = Annotated[Path | None, typer.Option(help="Draw it too, into this PNG file.")]


@app.command()
def check(folder: Folder = None) -> None:
    """Print every problem of a corpus with file, line and repair, and exit with 2; or its counts and checksum.

    Example:  course corpus check   |   course corpus check shared/corpora/harborline
    """
    from coursekit import corpus

    _print_counts(corpus.load(folder))


@app.command()
def stats(
    folder: Folder = None,
    write: Write = None,
    picture: Picture = None,
) -> None:
    """Show documents by kind, service, access and trait, their lengths, questions by category and split, judgments.

    Example:  course corpus stats   |   course corpus stats --picture corpus.png
    """
    from coursekit import corpus, tables
    from coursekit.corpus import page, summary, summary_page
    from coursekit.errors import CorpusError

    _check_picture(picture)
    if write is not None:
        page.read_section(write, summary_page.SECTION)
    loaded = corpus.load(folder)
    found = summary.summarise(loaded)
    tables.show(tables.corpus(found))
    if write is not None:
        print(f"wrote {page.write_section(write, summary_page.SECTION, summary_page.markdown(found))}")
    if picture is not None:
        from matplotlib import pyplot

        from coursekit.corpus.picture import draw

        figure = draw(found, loaded.folder.name)
        try:
            figure.savefig(picture)
        except OSError as error:
            raise CorpusError(f"{picture}: cannot be written ({error.strerror}); give another --picture") from error
        finally:
            pyplot.close(figure)
        print(f"as a picture: {picture}")


@app.command()
def checksums(folder: Folder = None) -> None:
    """Rebuild CHECKSUMS after a change that is meant, then check the corpus.

    Example:  course corpus checksums   |   course corpus checksums shared/corpora/harborline
    """
    from coursekit import corpus

    folder = corpus.course_folder() if folder is None else folder
    print(f"wrote {corpus.write_checksums(folder)}")
    _print_counts(corpus.load(folder))


def _check_picture(picture: Path | None) -> None:
    from coursekit.errors import CorpusError

    if picture is not None and picture.suffix.lower() != ".png":
        raise CorpusError(f"--picture {picture}: the picture is a PNG; give a file name that ends in .png")


def _print_counts(loaded: Corpus) -> None:
    judged = f"{len(loaded.judgments)} judgments"
    counts = f"{len(loaded.documents)} documents, {len(loaded.golden)} questions, {judged}"
    print(f"{counts}, checksum {loaded.checksum[:12]}")


@app.command()
def baseline(
    folder: Folder = None,
    write: Write = None,
    picture: Picture = None,
) -> None:
    """Measure what plain code retrieves from a corpus: BM25, Postgres full text, vectors, hybrids; half a minute at first.

    Example:  course corpus baseline   |   course corpus baseline --write docs/corpus.md --picture docs/images/corpus-baseline.png
    """
    from coursekit import corpus, tables
    from coursekit.corpus import baseline as baselines
    from coursekit.corpus import page

    _check_picture(picture)
    if write is not None:
        page.read_section(write, baselines.SECTION)  # before the work: a page without markers cannot take the tables
    loaded = corpus.load(folder)
    with baselines.progress_line() as say:
        results = baselines.measure(loaded, progress=say)
    tables.show(baselines.main_table(results))
    if write is not None:
        print(f"wrote {page.write_section(write, baselines.SECTION, baselines.markdown(results))}")
    if picture is not None:
        print(f"as a picture: {baselines.save_picture(results, picture)}")
