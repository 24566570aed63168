"""Real byte-pair encoding: the Llama-2 tokenizer that the `wordllama` package ships.

Every token count of the server comes from here. No special tokens are added or recognised: `<s>` in a prompt is
four ordinary characters. A chat costs `TOKENS_PER_MESSAGE` per message and `TOKENS_PER_REPLY` once, on top of
the text; both are constants of this simulation, so a client can compute `usage` exactly.
"""

from __future__ import annotations

import codecs
import os
from collections.abc import Iterable, Sequence
from functools import cache, lru_cache
from importlib.util import find_spec
from pathlib import Path

from tokenizers import Tokenizer as RustTokenizer

TOKENS_PER_MESSAGE = 4
TOKENS_PER_REPLY = 3
END = 2  # `</s>`: never produced by encoding text, so it can mark the end of an answer

# The Rust library warns on stderr when a process forks after it used threads; it gains nothing on short texts.
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


def _tokenizer_file() -> Path:
    spec = find_spec("wordllama")  # looks the package up without importing it
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError(
            "the package 'wordllama' is not installed; it carries the tokenizer: pip install wordllama"
        )
    return Path(spec.submodule_search_locations[0]) / "tokenizers" / "l2_supercat_tokenizer_config.json"


TOKENIZER_FILE: Path = _tokenizer_file()


class Tokenizer:
    """Text to token ids and back.

    No merge of this vocabulary crosses a line break, so text is encoded line by line; identical to encoding it
    whole (a test holds that), faster, and repeated lines come from a cache.
    """

    def __init__(self, path: Path = TOKENIZER_FILE) -> None:
        self._rust = RustTokenizer.from_file(str(path))
        self._rust.encode_special_tokens = True
        self.vocab_size: int = self._rust.get_vocab_size()
        self._pieces = [self._piece_bytes(self._rust.id_to_token(i) or "") for i in range(self.vocab_size)]
        self._longest = max(len(piece.decode("utf-8", "replace")) for piece in self._pieces)
        self._encode_cached = lru_cache(maxsize=32_768)(self._encode_line)

    @staticmethod
    def _piece_bytes(piece: str) -> bytes:
        if len(piece) == 6 and piece.startswith("<0x") and piece.endswith(">"):
            return bytes([int(piece[3:5], 16)])
        return piece.replace("\u2581", " ").encode("utf-8")

    def _encode_line(self, line: str) -> tuple[int, ...]:
        return tuple(self._rust.encode(line, add_special_tokens=False).ids)

    def encode(self, text: str) -> list[int]:
        """Token ids of a text, without special tokens."""
        if not text:
            return []
        first, *rest = text.split("\n")
        ids = list(self._line(first)) if first else list(self._line("\n")[:1])
        for line in rest:
            ids.extend(self._line("\n" + line)[1:])  # the first token is the space put before every text
        return ids

    def _line(self, line: str) -> tuple[int, ...]:
        return self._encode_cached(line) if len(line) < 4_000 else self._encode_line(line)

    def at_least(self, text: str) -> int:
        """Tokens that a text has in any case; at once, whereas counting a megabyte takes a second or two."""
        return -(-len(text) // self._longest)

    def count(self, text: str) -> int:
        """Number of tokens of a text."""
        return len(self.encode(text))

    def count_chat(self, contents: Iterable[str]) -> int:
        """Tokens of a whole chat prompt: the texts plus the constant overheads."""
        return sum(self.count(content) + TOKENS_PER_MESSAGE for content in contents) + TOKENS_PER_REPLY

    def piece(self, token: int, *, first: bool = False) -> bytes:
        """UTF-8 bytes that a token stands for; the first token of a text loses its leading space."""
        data = self._pieces[token]
        return data[1:] if first and data.startswith(b" ") else data

    def decode(self, tokens: Sequence[int]) -> str:
        """Text of token ids; incomplete UTF-8 becomes U+FFFD."""
        return "".join(self.decode_steps(tokens))

    def decode_steps(self, tokens: Sequence[int]) -> list[str]:
        """The text that each token adds. A character split over tokens appears with its last one."""
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        steps = [decoder.decode(self.piece(token, first=i == 0)) for i, token in enumerate(tokens)]
        if steps:
            steps[-1] += decoder.decode(b"", final=True)
        return steps


@cache
def default_tokenizer() -> Tokenizer:
    """The one tokenizer of this process (loads in 0.1 s)."""
    return Tokenizer()
