"""Text to ids as the `tokenizers` library gives them, many times as fast.

Text is cut a few hundred thousand characters at a time, equal pieces are found by Arrow's hashes, and each different
piece is merged once, by the library's own model, and remembered.
"""

import json
import re
from array import array
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from tokenizers import Tokenizer, models

from scalelaws.corpus.pairs import halves
from scalelaws.errors import InputError
from scalelaws.tokens.bpe import END_OF_DOCUMENT, SEPARATOR, byte_characters
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

GROUP_CHARACTERS = 1_000_000
"""Of the texts that are encoded at once: enough to repeat most words, and some 40 MB of arrays."""
REMEMBERED_PIECES = 400_000
REMEMBERED_CHARACTERS = 20_000_000
"""When more different pieces are known, or longer ones, all are forgotten: they take some 64 MB."""
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
        self.separator: int | None = tokenizer.token_to_id(SEPARATOR)
        self._model = tokenizer.model
        self._pattern = _pattern(content["pre_tokenizer"])
        ways = [(digits, white_space) for digits in DIGITS for white_space in WHITE_SPACE]
        self._way = next((way for way in ways if pieces(*way) == self._pattern), None)
        self._dtype = id_dtype(tokenizer.get_vocab_size())
        self._merged = _Merged(tokenizer.model)

    def encode(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """The ids of texts one after another, (ids,) uint16 or uint32, and how many each text has, (texts,) int64.

        Of a pair these are the ids of its source, the separator, and those of its target, if there is a separator.
        """
        if self.separator is None:
            return self._encode(texts)
        split = [halves(text) for text in texts]
        ids, counts = self._encode([half for halves_of_one in split for half in halves_of_one])
        parts = np.array([len(halves_of_one) for halves_of_one in split], np.int64)
        last = np.cumsum(parts) - 1
        ends = np.cumsum(counts)
        ids = np.insert(ids, ends[last[parts == 2] - 1], self.separator)
        return ids, np.diff(ends[last] + np.cumsum(parts - 1), prepend=0)

    def _encode(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """As `encode`, of texts that are no pairs.

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
        beginning = halves(text)[-1][:CHECKED_CHARACTERS]
        if self.encode([beginning])[0].tolist() != tokenizer.encode(beginning).ids:
            problem = "it gives a document other ids than its cut and its merges say"
            raise InputError("tokenizer", problem, "Make it with the rule tokenizer.")

    def _encoded(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        whole = "".join(texts)
        codes, first = code_points(whole), first_characters(texts)
        if not len(codes):
            return np.zeros(0, self._dtype), np.zeros(len(texts), np.int64)
        begins = piece_starts(codes, first, *self._way) if self._way else starts_by_pattern(texts, self._pattern)
        starts = np.flatnonzero(begins)
        cut = _strings(whole, codes, starts).dictionary_encode()
        if len(self._merged) > REMEMBERED_PIECES or self._merged.characters > REMEMBERED_CHARACTERS:
            self._merged = _Merged(self._model)
        numbers, bounds, ids = self._merged.all_of(cut.dictionary.to_pylist(), self._dtype)
        chosen = numbers[np.from_dlpack(cut.indices)]
        lengths = np.diff(bounds)[chosen]
        before = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
        places = np.repeat(bounds[chosen] - before[:-1], lengths) + np.arange(before[-1])
        ends = np.cumsum([len(text) for text in texts])
        return ids[places], np.diff(before[np.searchsorted(starts, ends)], prepend=0)


class _Merged(dict[str, int]):
    """Pieces by numbers in the order in which they were first asked for, which is when they are merged."""

    def __init__(self, model: models.Model) -> None:
        self.characters = 0
        self._model = model
        self._spelling = {byte: character for character, byte in byte_characters().items()}
        self._ids = array("I")
        self._bounds = array("q", [0])

    def __missing__(self, piece: str) -> int:
        merged = self._model.tokenize(piece.encode().decode("latin-1").translate(self._spelling))
        self._ids.extend([token.id for token in merged])
        self._bounds.append(len(self._ids))
        self.characters += len(piece)
        self[piece] = number = len(self)
        return number

    def all_of(self, pieces: Sequence[str], dtype: np.dtype) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The numbers of pieces; where each number's ids begin and end, bounds[n] and bounds[n + 1]; and all ids."""
        numbers = np.fromiter(map(self.__getitem__, pieces), np.int64, len(pieces))
        return numbers, np.array(self._bounds), np.array(self._ids, dtype)


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


def _strings(text: str, codes: np.ndarray, starts: np.ndarray) -> pa.Array:
    """The pieces of a text as Arrow strings, which lie in the bytes of the text itself."""
    content = text.encode()
    begins = np.append(starts, len(codes))
    if len(content) > len(codes):
        wide = np.flatnonzero(codes >= 0x80)
        further = np.zeros(len(codes) + 1, np.int64)
        further[wide + 1] = 1 + (codes[wide] >= 0x800) + (codes[wide] >= 0x10000)
        begins += np.cumsum(further, out=further)[begins]
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
