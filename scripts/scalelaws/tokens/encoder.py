"""Text to ids as the `tokenizers` library gives them, many times as fast.

Text is cut a million characters at a time; equal pieces are found by Arrow's hashes, and each different piece is merged
once, by tiktoken, and remembered.
"""

import json
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import tiktoken
from tokenizers import Tokenizer

from scalelaws.errors import InputError
from scalelaws.tokens.bpe import END_OF_DOCUMENT, byte_characters
from scalelaws.tokens.cut import (
    DIGITS,
    WHITE_SPACE,
    code_points,
    first_characters,
    piece_starts,
    pieces,
    starts_by_pattern,
)
from scalelaws.tokens.store import id_dtype

REMEMBERED_BYTES = 64_000_000
"""Of pieces and their ids; when they are more, all are forgotten. A million different words are 15 MB."""
GROUP_CHARACTERS = 1_000_000
"""Of the texts that are encoded at once: enough to repeat most words, and some 30 MB of arrays."""
CHECKED_CHARACTERS = 10_000


class Encoder:
    """A tokenizer's ids for texts. Threads may share one: they share what pieces it remembers."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        """Raises InputError for a tokenizer that is no byte-level BPE, or that cuts text in a way of its own."""
        content = json.loads(tokenizer.to_str())
        end = tokenizer.token_to_id(END_OF_DOCUMENT)
        if content["model"]["type"] != "BPE" or end is None:
            problem = f"not a byte-level BPE with {END_OF_DOCUMENT}"
            raise InputError("tokenizer", problem, "Make it with the rule tokenizer.")
        self.end_of_document = end
        self._merge = _merges(content["model"]["vocab"], end).encode_ordinary
        self._pattern = _pattern(content["pre_tokenizer"])
        self._way = next(
            ((digits, space) for digits in DIGITS for space in WHITE_SPACE if pieces(digits, space) == self._pattern),
            None,
        )
        self._dtype = id_dtype(tokenizer.get_vocab_size())
        self._known: dict[str, bytes] = {}
        self._remembered = 0

    def encode(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """The ids of texts one after another, (ids,) uint16 or uint32, and how many each text has, (texts,) int64."""
        ends = np.cumsum([len(text) for text in texts], dtype=np.int64)
        if not len(ends) or not ends[-1]:
            return np.zeros(0, self._dtype), np.zeros(len(ends), np.int64)
        codes, first = code_points(texts), first_characters(texts)
        begins = piece_starts(codes, first, *self._way) if self._way else starts_by_pattern(texts, self._pattern)
        starts = np.flatnonzero(begins)
        cut = _strings(texts, codes, starts).dictionary_encode()
        ids, counts = self._merged(cut.dictionary.to_pylist())
        chosen = cut.indices.to_numpy()
        lengths = counts[chosen]
        before = np.concatenate([[0], np.cumsum(lengths)])
        of_piece = np.cumsum(counts) - counts
        places = np.repeat(of_piece[chosen] - before[:-1], lengths) + np.arange(before[-1])
        return ids[places], np.diff(before[np.searchsorted(starts, ends)], prepend=0)

    def check(self, tokenizer: Tokenizer, text: str) -> None:
        """Raise InputError unless the tokenizer gives the first 10,000 characters of a text the same ids."""
        beginning = text[:CHECKED_CHARACTERS]
        if self.encode([beginning])[0].tolist() != tokenizer.encode(beginning).ids:
            problem = "it does more to a text than cut it and merge its bytes"
            raise InputError("tokenizer", problem, "Take out its normalizer, or make it with the rule tokenizer.")

    def _merged(self, different: list[str]) -> tuple[np.ndarray, np.ndarray]:
        """The ids of pieces one after another, and how many each has."""
        known = self._known
        for piece in different:
            if piece not in known:
                known[piece] = np.array(self._merge(piece), self._dtype).tobytes()
                self._remembered += len(piece) + len(known[piece])
        rows = [known[piece] for piece in different]
        if self._remembered > REMEMBERED_BYTES:
            self._known, self._remembered = {}, 0
        counts = np.array([len(row) for row in rows], np.int64) // self._dtype.itemsize
        return np.frombuffer(b"".join(rows), self._dtype), counts


def groups(texts: Sequence[str], parts: int) -> Iterator[Sequence[str]]:
    """Texts in their order, `parts` groups of about as many characters each, or more where they would be large."""
    wanted = min(GROUP_CHARACTERS, sum(map(len, texts)) // parts + 1)
    begin = size = 0
    for end, text in enumerate(texts, 1):
        size += len(text)
        if size >= wanted or end == len(texts):
            yield texts[begin:end]
            begin, size = end, 0


def _strings(texts: Sequence[str], codes: np.ndarray, starts: np.ndarray) -> pa.Array:
    """The pieces of texts as Arrow strings, which lie in the bytes of the texts themselves."""
    content = "".join(texts).encode()
    begins = np.append(starts, len(codes))
    if len(content) > len(codes):
        sizes = 1 + (codes >= 0x80).view(np.uint8) + (codes >= 0x800).view(np.uint8) + (codes >= 0x10000).view(np.uint8)
        begins = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])[begins]
    offsets = pa.py_buffer(begins.astype(np.int64))
    return pa.LargeStringArray.from_buffers(len(starts), offsets, pa.py_buffer(content))


def _merges(vocabulary: dict[str, int], special: int) -> tiktoken.Encoding:
    """The merges of a tokenizer in tiktoken, which takes all of a text for one piece."""
    byte_of = byte_characters()
    ranks = {bytes(byte_of[c] for c in token): rank for token, rank in vocabulary.items() if rank != special}
    return tiktoken.Encoding("scalelaws", pat_str=r"(?s:.+)", mergeable_ranks=ranks, special_tokens={})


def _pattern(cutter: dict[str, Any] | None) -> str:
    """The pattern by which a tokenizer cuts text. Raises InputError for one that this stage does not make."""
    match cutter:
        case {"type": "ByteLevel", "add_prefix_space": False, "use_regex": True}:
            return pieces()
        case {
            "type": "Sequence",
            "pretokenizers": [
                {"type": "Split", "pattern": {"Regex": str(pattern)}, "behavior": "Isolated", "invert": False},
                {"type": "ByteLevel", "add_prefix_space": False, "use_regex": False},
            ],
        }:
            return pattern
    raise InputError("tokenizer", "it cuts text in a way of its own", "Make it with the rule tokenizer.")
