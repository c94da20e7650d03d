"""Text to ids as the `tokenizers` library gives them, many times as fast.

Text is cut a few hundred thousand characters at a time, equal pieces are found by Arrow's hashes, and each different
piece is merged once, by the library's own model, and remembered.
"""

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
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

GROUP_CHARACTERS = 300_000
"""Of the texts that are encoded at once: enough to repeat most words, and some 10 MB of arrays."""
REMEMBERED_BYTES = 64_000_000
"""Of pieces and their ids; when they take more, all are forgotten. That is some 400,000 different words."""
OBJECT_BYTES = 130
"""What Python needs to keep a piece and its ids, beside their content."""
CHECKED_CHARACTERS = 10_000
SAFE_CUT = re.compile(r"(?<=[^\W_]) |(?<=[.,;:!?。，、；：！？])(?=[^\W_])")
"""Where every way to cut begins a piece: a space behind a letter or digit, either behind a mark but an apostrophe."""


class Encoder:
    """A tokenizer's ids for texts."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        """Raises InputError for a tokenizer that is no byte-level BPE, or that does more than to cut and merge."""
        content = json.loads(tokenizer.to_str())
        _check_does_no_more(content)
        self.end_of_document = _end_of_document(content)
        self._model = tokenizer.model
        self._characters = {byte: character for character, byte in byte_characters().items()}
        self._pattern = _pattern(content["pre_tokenizer"])
        ways = [(digits, white_space) for digits in DIGITS for white_space in WHITE_SPACE]
        self._way = next((way for way in ways if pieces(*way) == self._pattern), None)
        self._dtype = id_dtype(tokenizer.get_vocab_size())
        self._known: dict[str, bytes] = {}
        self._remembered = 0

    def encode(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """The ids of texts one after another, (ids,) uint16 or uint32, and how many each text has, (texts,) int64.

        A long text is encoded in parts, so that what is held does not grow with it; in one under a user's own pattern.
        """
        split = [[text] if self._way is None else list(_parts(text)) for text in texts]
        found = [self._encoded(group) for group in groups([part for parts in split for part in parts])]
        ids = np.concatenate([np.zeros(0, self._dtype), *(ids for ids, _ in found)])
        before = np.cumsum(np.concatenate([np.zeros(1, np.int64), *(counts for _, counts in found)]))
        ends = before[np.cumsum([len(parts) for parts in split], dtype=np.int64)]
        return ids, np.diff(ends, prepend=0)

    def check(self, tokenizer: Tokenizer, text: str) -> None:
        """Raise InputError unless the tokenizer gives the first 10,000 characters of a text the same ids."""
        beginning = text[:CHECKED_CHARACTERS]
        if self.encode([beginning])[0].tolist() != tokenizer.encode(beginning).ids:
            problem = "it gives a document other ids than its cut and its merges say"
            raise InputError("tokenizer", problem, "Make it with the rule tokenizer.")

    def _encoded(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        codes, first = code_points(texts), first_characters(texts)
        if not len(codes):
            return np.zeros(0, self._dtype), np.zeros(len(texts), np.int64)
        begins = piece_starts(codes, first, *self._way) if self._way else starts_by_pattern(texts, self._pattern)
        starts = np.flatnonzero(begins)
        cut = _strings(texts, codes, starts).dictionary_encode()
        ids, counts = self._merged(cut.dictionary.to_pylist())
        chosen = cut.indices.to_numpy()
        lengths = counts[chosen]
        before = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
        of_piece = np.cumsum(counts) - counts
        places = np.repeat(of_piece[chosen] - before[:-1], lengths) + np.arange(before[-1])
        ends = np.cumsum([len(text) for text in texts])
        return ids[places], np.diff(before[np.searchsorted(starts, ends)], prepend=0)

    def _merged(self, different: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """The ids of pieces one after another, and how many each has."""
        if self._remembered > REMEMBERED_BYTES:
            self._known, self._remembered = {}, 0
        known = self._known
        for piece in different:
            if piece not in known:
                known[piece] = self._ids(piece)
                self._remembered += len(piece) + len(known[piece]) + OBJECT_BYTES
        rows = [known[piece] for piece in different]
        counts = np.array([len(row) for row in rows], np.int64) // self._dtype.itemsize
        return np.frombuffer(b"".join(rows), self._dtype), counts

    def _ids(self, piece: str) -> bytes:
        spelt = piece.encode().decode("latin-1").translate(self._characters)
        return np.array([token.id for token in self._model.tokenize(spelt)], self._dtype).tobytes()


def groups(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    """Texts in their order, about GROUP_CHARACTERS at a time."""
    begin = size = 0
    for end, text in enumerate(texts, 1):
        size += len(text)
        if size >= GROUP_CHARACTERS or end == len(texts):
            yield texts[begin:end]
            begin, size = end, 0


def _parts(text: str) -> Iterator[str]:
    """A text in parts of GROUP_CHARACTERS or more, cut where a piece begins whatever stands around it."""
    begin = 0
    while cut := SAFE_CUT.search(text, begin + GROUP_CHARACTERS):
        yield text[begin : cut.start()]
        begin = cut.start()
    yield text[begin:]


def _strings(texts: Sequence[str], codes: np.ndarray, starts: np.ndarray) -> pa.Array:
    """The pieces of texts as Arrow strings, which lie in the bytes of the texts themselves."""
    content = "".join(texts).encode()
    begins = np.append(starts, len(codes))
    if len(content) > len(codes):
        sizes = 1 + (codes >= 0x80).view(np.uint8) + (codes >= 0x800).view(np.uint8) + (codes >= 0x10000).view(np.uint8)
        begins = np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes, dtype=np.int64)])[begins]
    offsets = pa.py_buffer(begins.astype(np.int64))
    return pa.LargeStringArray.from_buffers(len(starts), offsets, pa.py_buffer(content))


def _end_of_document(content: dict[str, Any]) -> int:
    special = {token["content"]: token["id"] for token in content["added_tokens"]}
    if content["model"]["type"] != "BPE" or END_OF_DOCUMENT not in special:
        problem = f"not a byte-level BPE with {END_OF_DOCUMENT}"
        raise InputError("tokenizer", problem, "Make it with the rule tokenizer.")
    return int(special[END_OF_DOCUMENT])


def _check_does_no_more(content: dict[str, Any]) -> None:
    """Raise InputError for a tokenizer that changes text before it cuts it, or ids after it has merged."""
    after = content["post_processor"]
    more = {
        "it cuts or fills up what is long or short": bool(content["truncation"] or content["padding"]),
        "its normalizer changes text": content["normalizer"] is not None,
        "it has added tokens that are not special": any(not token["special"] for token in content["added_tokens"]),
        "its post_processor adds ids": after is not None and after["type"] != "ByteLevel",
        "its merges drop out at random": bool(content["model"].get("dropout")),
    }
    for problem, found in more.items():
        if found:
            raise InputError("tokenizer", problem, "Take that out of tokenizer.json, or give another.")


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
