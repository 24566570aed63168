"""`python -m coursekit.corpus check|checksums <folder>`: check a corpus, or rebuild its CHECKSUMS."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from coursekit.corpus.checksums import write_checksums
from coursekit.corpus.loading import load
from coursekit.errors import CorpusError


def main(arguments: list[str] | None = None) -> int:
    """Parse, call, print; 0 when all is well, 2 when the corpus has problems."""
    parser = argparse.ArgumentParser(prog="python -m coursekit.corpus", description=__doc__)
    parser.add_argument("command", choices=("check", "checksums"))
    parser.add_argument("folder", type=Path)
    options = parser.parse_args(arguments)
    try:
        if options.command == "checksums":
            if not (options.folder / "documents").is_dir():
                raise CorpusError(f"{options.folder}: no folder documents/ here; pass a corpus folder")
            print(f"wrote {write_checksums(options.folder)}")
        corpus = load(options.folder)
    except CorpusError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    print(f"{len(corpus.documents)} documents, {len(corpus.golden)} questions, checksum {corpus.checksum[:12]}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
