"""Where text is cut into the pieces that merges never cross: by GPT-2's rule (Radford et al. 2019) or one like it.

The rule is a pattern of the `tokenizers` library, and the same in numpy, which cuts a million characters at a time.
"""

from collections.abc import Sequence
from functools import cache

import numpy as np
from tokenizers import Regex, pre_tokenizers

CONTRACTIONS = ("s", "d", "m", "t", "ll", "ve", "re")
"""What is one piece with the apostrophe before it."""
DIGITS = {"runs": r" ?\p{N}++", "threes": r"\p{N}{1,3}", "single": r"\p{N}"}
"""How digits are cut: as GPT-2 does, in groups of at most three as GPT-4, or one by one as Llama."""
WHITE_SPACE = {"runs": r"\s++\z|\s+(?!\S)|\s", "single": r"\s"}
"""How white space is cut: as GPT-2 does, all but the last of a run in one piece, or character by character."""

LETTER, NUMBER, SPACE, OTHER = range(4)
CLASSES = {LETTER: r"\p{L}", NUMBER: r"\p{N}", SPACE: r"\s"}
LAST_CLASSED = 0x34000
"""No letter, number or space has a code from here on."""
BLOCK = 4096
"""Characters that the library cuts at a time: its time grows faster than the text."""


def pieces(digits: str = "runs", white_space: str = "runs") -> str:
    """The pattern of what is never merged across, by keys of DIGITS and WHITE_SPACE.

    It is written so that no run of one kind of character, however long, makes the matcher go back.
    """
    words, marks = rf"'(?:{'|'.join(CONTRACTIONS)})| ?\p{{L}}++", r" ?[^\s\p{L}\p{N}]++"
    return f"{words}|{DIGITS[digits]}|{marks}|{WHITE_SPACE[white_space]}"


def piece_starts(codes: np.ndarray, first: np.ndarray, digits: str = "runs", white_space: str = "runs") -> np.ndarray:
    """Which characters begin a piece: (characters,) bool, from code_points and first_characters."""
    kinds = kinds_of_characters()[codes]
    runs = first.copy()
    runs[1:] |= kinds[1:] != kinds[:-1]
    starts = runs.copy()
    after_space = 1 + np.flatnonzero(runs[1:] & ~first[1:] & (kinds[:-1] == SPACE))
    starts[after_space - 1] = True
    if white_space == "single":
        starts |= kinds == SPACE
    joined = codes[after_space - 1] == ord(" ")
    if digits != "runs":
        joined &= kinds[after_space] != NUMBER
    starts[after_space[joined]] = False
    if digits == "single":
        starts |= kinds == NUMBER
    elif digits == "threes":
        numbers = np.flatnonzero(kinds == NUMBER)
        run_starts = np.maximum.accumulate(np.where(runs[numbers], numbers, 0))
        starts[numbers] = (numbers - run_starts) % 3 == 0
    _cut_contractions(starts, codes, first)
    return starts


def _cut_contractions(starts: np.ndarray, codes: np.ndarray, first: np.ndarray) -> None:
    """Join an apostrophe that begins a piece to the ending that follows it, and begin a piece behind them."""
    apostrophes = np.flatnonzero(starts & (codes == ord("'")))
    for ending in CONTRACTIONS:
        found = apostrophes[apostrophes + len(ending) < len(codes)]
        for place, letter in enumerate(ending, 1):
            found = found[(codes[found + place] == ord(letter)) & ~first[found + place]]
        starts[found + 1] = False
        behind = found + 1 + len(ending)
        starts[behind[behind < len(codes)]] = True


def starts_by_pattern(texts: Sequence[str], pattern: str) -> np.ndarray:
    """As `piece_starts`, for any pattern, by the `tokenizers` library itself."""
    starts = first_characters(texts)
    cut = pre_tokenizers.Split(Regex(pattern), "isolated").pre_tokenize_str
    position = 0
    for text in texts:
        starts[[position + start for _, (start, _) in cut(text)]] = True
        position += len(text)
    return starts


def code_points(text: str) -> np.ndarray:
    """The characters of a text as numbers: (characters,) uint32."""
    return np.frombuffer(text.encode("utf-32-le"), np.uint32)


def first_characters(texts: Sequence[str]) -> np.ndarray:
    """Which characters are the first of a text: (characters,) bool."""
    ends = np.cumsum([len(text) for text in texts])
    first = np.zeros(ends[-1] + 1, bool)
    first[0] = first[ends] = True
    return first[:-1]


@cache
def kinds_of_characters() -> np.ndarray:
    """LETTER, NUMBER, SPACE or OTHER for every code point, (0x110000,) uint8.

    They are asked of the `tokenizers` library: others know other editions of Unicode, with more letters or fewer.
    """
    kinds = np.full(0x110000, OTHER, np.uint8)
    characters = np.array([code for code in range(LAST_CLASSED) if not 0xD800 <= code < 0xE000], np.uint32)
    for kind, letters in CLASSES.items():
        keep = pre_tokenizers.Split(Regex(f"[^{letters}]+"), "removed").pre_tokenize_str
        for start in range(0, len(characters), BLOCK):
            block = characters[start : start + BLOCK]
            for _, (begin, end) in keep(block.tobytes().decode("utf-32-le")):
                kinds[block[begin:end]] = kind
    return kinds
