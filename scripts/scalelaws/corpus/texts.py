"""A text as quality rules see it: its words, lines and tokens, each made once however many rules ask."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

PARAGRAPHS = re.compile(r"\n{2,}")
LINES = re.compile(r"\n+")
TOKENS = re.compile(r"[^\W_]+(?:[-.'’_][^\W_]+)*|[^\w\s]")
"""Words with what joins their parts, and single marks: near to how linguists' splitters cut, and fast."""

SPREAD = np.uint64(0x9E3779B97F4A7C15)


@dataclass
class Text:
    """A text, split once for all rules."""

    text: str

    @cached_property
    def words(self) -> list[str]:
        """What stands between white space."""
        return self.text.split()

    @cached_property
    def lines(self) -> list[str]:
        """Lines that are not blank, without outer white space."""
        return [stripped for line in self.text.splitlines() if (stripped := line.strip())]

    @cached_property
    def paragraphs(self) -> list[str]:
        """What stands between blank lines."""
        return PARAGRAPHS.split(self.text.strip())

    @cached_property
    def raw_lines(self) -> list[str]:
        """Lines that are not empty, as they stand."""
        return [line for line in LINES.split(self.text) if line]

    @cached_property
    def tokens(self) -> list[str]:
        """Words and punctuation marks."""
        return TOKENS.findall(self.text)

    @cached_property
    def token_numbers(self) -> NDArray[np.uint64]:
        """A number for each token, equal for equal ones."""
        numbers = {token: number for number, token in enumerate(dict.fromkeys(self.tokens))}
        return np.fromiter(map(numbers.__getitem__, self.tokens), np.uint64, len(self.tokens))

    @cached_property
    def token_ends(self) -> NDArray[np.int64]:
        """Characters of the tokens up to each place: (tokens + 1,)."""
        return np.concatenate([[0], np.cumsum(np.fromiter(map(len, self.tokens), np.int64, len(self.tokens)))])

    def recurring(self, n: int) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
        """Where the runs of n tokens that occur more than once start, ascending, and a hash of each.

        A run recurs only where its first n - 1 tokens do, so each n looks no further than the n before it.
        """
        if n not in self._recurring:
            if n == 1:
                places, hashes = np.arange(len(self.token_numbers)), self.token_numbers * SPREAD
            else:
                places, hashes = self.recurring(n - 1)
                inside = places + n <= len(self.token_numbers)
                places, hashes = places[inside], hashes[inside]
                hashes = (hashes ^ (self.token_numbers[places + n - 1] + np.uint64(1))) * SPREAD
                hashes ^= hashes >> np.uint64(29)
            order = np.argsort(hashes)
            same = np.flatnonzero(hashes[order[1:]] == hashes[order[:-1]])
            found = np.zeros(len(hashes), bool)
            found[order[same]] = found[order[same + 1]] = True
            self._recurring[n] = places[found], hashes[found]
        return self._recurring[n]

    @cached_property
    def _recurring(self) -> dict[int, tuple[NDArray[np.int64], NDArray[np.uint64]]]:
        return {}


def share(flags: Iterable[bool]) -> float:
    """How large a part of the flags is set; 0 of none."""
    found = list(flags)
    return sum(found) / max(len(found), 1)


def repeats(parts: list[str]) -> tuple[int, int]:
    """How many parts came before in the list, and their characters."""
    counts = Counter(parts)
    return len(parts) - len(counts), sum(len(part) * (count - 1) for part, count in counts.items() if count > 1)
