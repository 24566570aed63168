"""Cut documents with the assistant's own chunker: `documents.jsonl` -> `chunks.jsonl`, in the assistant's process.

A line of the input is [document id, title, text], or with a fourth value, a list of texts, a document that is cut
already. The output is what `harness.read_chunks` reads. A document without a chunk is listed in `uncut.json`.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from .assembled import part
from .harness import folder_argument, say

chunking, documents, tokens = part("chunking"), part("documents"), part("tokens")

_EVERY = 200


def main(folder: Path) -> None:
    """Cut them all; documents that give no chunk, or an error, go to `uncut.json` with the reason."""
    count_tokens = tokens.load_counter(os.environ["ASSISTANT_TOKENIZER_FILE"])
    uncut: dict[str, str] = {}
    lines = (folder / "documents.jsonl").read_text(encoding="utf-8").split("\n")[:-1]
    with open(folder / "chunks.jsonl", "w", encoding="utf-8") as target:
        for number, line in enumerate(lines, start=1):
            document_id, title, text, *ready = json.loads(line)
            title = " ".join(documents.clean_text(title).split())
            if ready:
                pieces = [documents.clean_text(piece) for piece in ready[0]]
                chunks = [
                    chunking.Chunk(document_id, position, (title,), piece) for position, piece in enumerate(pieces)
                ]
            else:
                document = documents.Document(
                    document_id, title, documents.clean_text(text).strip() or title, {}, ("all",)
                )
                try:
                    chunks = chunking.chunk_document(
                        document, max_tokens=chunking.CHUNK_SIZE_TOKENS, count_tokens=count_tokens
                    )
                except (ValueError, RecursionError) as error:
                    chunks = []
                    uncut[document_id] = f"{type(error).__name__}: {error}"
            if not chunks:
                uncut.setdefault(document_id, "no text")
            for chunk in chunks:
                row = [chunk.document_id, chunk.position, chunk.headings, chunk.text, chunk.embedding_text]
                target.write(json.dumps(row) + "\n")
            if number % _EVERY == 0 or number == len(lines):
                say("documents cut", number, len(lines))
    (folder / "uncut.json").write_text(json.dumps(uncut), encoding="utf-8")


if __name__ == "__main__":
    main(folder_argument())
