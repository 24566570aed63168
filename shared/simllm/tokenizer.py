"""Real byte-pair encoding: the Llama-2 tokenizer that the `wordllama` package ships.

Every token count of the server comes from here. No special tokens are added or recognised: `<s>` in a prompt is
four ordinary characters. A chat costs `TOKENS_PER_MESSAGE` per message and `TOKENS_PER_REPLY` once, on top of
the text; both are constants of this simulation, so a client can compute `usage` exactly.
"""

from __future__ import annotations

import codecs
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache, lru_cache
from importlib.util import find_spec
from pathlib import Path

from tokenizers import Tokenizer as RustTokenizer

TOKENS_PER_MESSAGE = 4
TOKENS_PER_REPLY = 3
_LONG_LINE = 4_000  # characters from which a line is encoded in pieces and kept in no cache
_LONE_SPACE = re.compile(r"(?<=[^\s\u2581]) (?=[^\s\u2581])")
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

    No merge of this vocabulary crosses a line break, or the place before a lone space, so text is encoded line by line
    and long lines piece by piece; identical to encoding it whole (a test holds that), faster, and repeated lines come
    from a cache.
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

    def encode(self, text: str, breathe: Callable[[], None] = lambda: None) -> list[int]:
        """Token ids of a text, without special tokens.

        Args:
            text: any text.
            breathe: called before every line or piece of a long one, so that others may compute.
        """
        if not text:
            return []
        first, *rest = text.split("\n")
        ids = self._line(first, breathe) if first else list(self._encode_cached("\n")[:1])
        for line in rest:
            ids.extend(self._line("\n" + line, breathe)[1:])  # the first token is the space put before every text
        return ids

    def _line(self, line: str, breathe: Callable[[], None]) -> list[int]:
        breathe()
        if len(line) < _LONG_LINE:
            return list(self._encode_cached(line))
        first, *rest = _pieces(line)
        ids = list(self._encode_line(first))
        for piece in rest:
            breathe()
            ids.extend(self._encode_line("\n" + piece)[2:])  # without that space and without the line break
        return ids

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


def _pieces(line: str) -> Iterator[str]:
    """A long line cut before some of its lone spaces."""
    start = 0
    while (cut := _LONE_SPACE.search(line, start + _LONG_LINE)) is not None:
        yield line[start : cut.start()]
        start = cut.start()
    yield line[start:]


@cache
def default_tokenizer() -> Tokenizer:
    """The one tokenizer of this process (loads in 0.1 s)."""
    return Tokenizer()
