"""The tokenizer: a byte-level BPE in the format of the `tokenizers` library, and its merges in the faster tiktoken.

Text is cut by GPT-2's rule (Radford et al. 2019) or one that differs in its digits or white space, then merged from
bytes: any text can be encoded and decoded exactly.
"""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import tiktoken
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

from scalelaws.errors import InputError
from scalelaws.io import atomic_path, write_json
from scalelaws.job import Progress
from scalelaws.recipe import provenance
from scalelaws.tokens.documents import sample

END_OF_DOCUMENT = "<|endoftext|>"

DIGITS = {"runs": r" ?\p{N}++", "threes": r"\p{N}{1,3}", "single": r"\p{N}"}
"""How digits are cut: as GPT-2 does, in groups of at most three as GPT-4, or one by one as Llama."""
WHITE_SPACE = {"runs": r"\s++\z|\s+(?!\S)|\s", "single": r"\s"}
"""How white space is cut: as GPT-2 does, all but the last of a run in one piece, or character by character."""

CHECKED_CHARACTERS = 10_000


def train_tokenizer(
    documents: str | Path,
    folder: str | Path,
    vocabulary: int,
    digits: str,
    white_space: str,
    sample_bytes: int,
    seed: int,
    recipe: str,
    progress: Progress,
) -> None:
    """Train a tokenizer on a seeded sample of the documents in a folder of parquet shards and save it in `folder`.

    `folder` gets what transformers.PreTrainedTokenizerFast.from_pretrained opens, and provenance.json. Memory grows
    with the different words of the sample, not with the corpus. Raises InputError if the text is too small for the
    vocabulary.
    """
    total, texts = sample(documents, seed, sample_bytes)
    tokenizer = train_bpe(_shown(texts, total, progress), vocabulary, digits, white_space)
    settings = {
        "vocabulary": vocabulary,
        "digits": digits,
        "white_space": white_space,
        "sample_bytes": sample_bytes,
    }
    with atomic_path(folder) as temporary:
        save_tokenizer(tokenizer, temporary)
        origin = provenance(recipe, seed, settings, [documents], ["tokenizers"])
        write_json(temporary / "provenance.json", origin)


def pieces(digits: str = "runs", white_space: str = "runs") -> str:
    """The pattern of what is never merged across, by keys of DIGITS and WHITE_SPACE.

    It is written so that no run of one kind of character, however long, makes the matcher go back.
    """
    words, marks = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}++", r" ?[^\s\p{L}\p{N}]++"
    return f"{words}|{DIGITS[digits]}|{marks}|{WHITE_SPACE[white_space]}"


def train_bpe(texts: Iterable[str], vocabulary: int, digits: str = "runs", white_space: str = "runs") -> Tokenizer:
    """A tokenizer of exactly `vocabulary` ids: 256 bytes, then merges as they were learned, END_OF_DOCUMENT last.

    That is GPT-2's layout. It depends on how often each word occurs and not on the order of the texts. Raises
    InputError if the texts run out of pairs that occur twice before the vocabulary is full.
    """
    tokenizer = byte_level(models.BPE(), digits, white_space)
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary - 1,
        min_frequency=2,
        show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.add_special_tokens([END_OF_DOCUMENT])
    reached = tokenizer.get_vocab_size()
    if reached != vocabulary:
        raise InputError(
            "config: tokenizer.vocabulary",
            f"the training text has pairs for {reached:,} ids, and {vocabulary:,} are asked for",
            f"Lower it to {reached:,} or less, or train on more text (corpora, tokenizer.sample_bytes).",
        )
    return tokenizer


def byte_level(model: models.BPE, digits: str = "runs", white_space: str = "runs") -> Tokenizer:
    """A tokenizer that cuts text as told and then applies a model to its bytes."""
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    if (digits, white_space) != ("runs", "runs"):
        cut = pre_tokenizers.Split(Regex(pieces(digits, white_space)), "isolated")
        to_bytes = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([cut, to_bytes])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    return tokenizer


def save_tokenizer(tokenizer: Tokenizer, folder: Path) -> None:
    """Write the files from which transformers.PreTrainedTokenizerFast.from_pretrained makes this tokenizer."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    roles = dict.fromkeys(("bos_token", "eos_token", "unk_token"), END_OF_DOCUMENT)
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": False, **roles}
    write_json(folder / "tokenizer_config.json", config)
    write_json(folder / "special_tokens_map.json", roles)


def load_tokenizer(folder: str | Path) -> Tokenizer:
    """The tokenizer in a folder; text that spells END_OF_DOCUMENT gets the ids of its letters, not the special one.

    Raises InputError if there is none.
    """
    path = Path(folder) / "tokenizer.json"
    try:
        content = path.read_text(encoding="utf-8")
        tokenizer = Tokenizer.from_str(content)
    except FileNotFoundError:
        raise InputError(str(path), "there is no tokenizer here", "Make it: rerun the rule tokenizer.") from None
    except Exception as error:  # the library raises bare Exception for content that it cannot read
        raise InputError(str(path), f"not a tokenizer ({error})", "Make it again: rerun the rule tokenizer.") from None
    tokenizer.encode_special_tokens = True
    return tokenizer


def fast_encoding(tokenizer: Tokenizer) -> tiktoken.Encoding:
    """The same merges in tiktoken: equal ids, 4 to 6 times as many bytes a second.

    Raises InputError if the tokenizer is not one of train_bpe's.
    """
    content = json.loads(tokenizer.to_str())
    model = content["model"]
    special = tokenizer.token_to_id(END_OF_DOCUMENT)
    if model["type"] != "BPE" or special is None:
        problem = f"not a byte-level BPE with {END_OF_DOCUMENT}"
        raise InputError("tokenizer", problem, "Make it with the rule tokenizer.")
    byte_of = byte_characters()
    ranks = {bytes(byte_of[c] for c in token): rank for token, rank in model["vocab"].items() if rank != special}
    return tiktoken.Encoding(
        "scalelaws",
        pat_str=_pattern(content["pre_tokenizer"]),
        mergeable_ranks=ranks,
        special_tokens={END_OF_DOCUMENT: special},
    )


def _pattern(cutter: dict[str, Any] | None) -> str:
    """The pattern by which a tokenizer cuts text. Raises InputError for one that this module does not make."""
    match cutter:
        case {"type": "ByteLevel", "add_prefix_space": False}:
            return pieces()
        case {"type": "Sequence", "pretokenizers": [{"type": "Split", "pattern": {"Regex": str(pattern)}}, _]}:
            return pattern
    raise InputError("tokenizer", "it cuts text in a way of its own", "Make it with the rule tokenizer.")


def check_encoding(encoding: tiktoken.Encoding, tokenizer: Tokenizer, text: str) -> None:
    """Raise InputError unless both libraries give the beginning of a text the same ids (10,000 characters).

    They could only differ where an installed version knows another edition of Unicode.
    """
    beginning = text[:CHECKED_CHARACTERS]
    if encoding.encode_ordinary(beginning) != tokenizer.encode(beginning).ids:
        versions = "the installed tokenizers and tiktoken disagree about a document"
        raise InputError("environment", versions, "Install the versions pinned in envs/requirements.txt.")


def byte_characters() -> dict[str, int]:
    """The printable character that stands for each byte in a byte-level vocabulary, as GPT-2 chose them.

    Printable Latin-1 characters stand for their own byte; the 68 other bytes, in order, take those from 256 on.
    """
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = sorted(set(range(256)) - set(printable))
    return {chr(b): b for b in printable} | {chr(256 + place): b for place, b in enumerate(others)}


def _shown(batches: Iterator[list[str]], total: int, progress: Progress) -> Iterator[str]:
    """The texts one by one, saying how much is read; then that the merges begin, which say nothing themselves."""
    read = 0
    for texts in batches:
        yield from texts
        read += sum(len(text.encode()) for text in texts)
        progress.show(read, total, "reading the sample")
    progress.say(f"learning merges from {total / 1e6:,.1f} MB")
