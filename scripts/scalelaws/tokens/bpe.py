"""The tokenizer: a byte-level BPE in the format of the `tokenizers` library.

Text is cut by GPT-2's rule or one that differs in its digits or white space, then merged from bytes: any text can be
encoded and decoded exactly.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

from scalelaws.corpus.pairs import halves
from scalelaws.errors import InputError
from scalelaws.io import atomic_path, write_json
from scalelaws.job import Progress
from scalelaws.recipe import provenance
from scalelaws.tokens.cut import pieces
from scalelaws.tokens.documents import sample

END_OF_DOCUMENT = "<|endoftext|>"
SEPARATOR = "<|target|>"
"""Between the source and the target of a pair, in tokenizers of studies that have pairs."""


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
    *,
    pairs: bool = False,
) -> None:
    """Train a tokenizer on a seeded sample of the documents in a folder of parquet shards and save it in `folder`.

    `folder` gets what transformers.PreTrainedTokenizerFast.from_pretrained opens, and provenance.json. Memory grows
    with the different words of the sample, not with the corpus. Raises InputError if the text is too small for the
    vocabulary.
    """
    total, texts = sample(documents, seed, sample_bytes)
    tokenizer = train_bpe(_shown(texts, total, progress), vocabulary, digits, white_space, pairs=pairs)
    settings = {
        "vocabulary": vocabulary,
        "digits": digits,
        "white_space": white_space,
        "sample_bytes": sample_bytes,
        "pairs": pairs,
    }
    with atomic_path(folder) as temporary:
        save_tokenizer(tokenizer, temporary)
        origin = provenance(recipe, seed, settings, [documents], ["tokenizers"])
        write_json(temporary / "provenance.json", origin)


def train_bpe(
    texts: Iterable[str], vocabulary: int, digits: str = "runs", white_space: str = "runs", *, pairs: bool = False
) -> Tokenizer:
    """A tokenizer of exactly `vocabulary` ids: 256 bytes, then merges as they were learned, END_OF_DOCUMENT last.

    That is GPT-2's layout; for `pairs` a SEPARATOR comes behind it. It depends on how often each word occurs and not on
    the order of the texts. Raises InputError if the texts run out of pairs of bytes that occur twice before the
    vocabulary is full.
    """
    tokenizer = byte_level(models.BPE(), digits, white_space)
    special = [END_OF_DOCUMENT, *([SEPARATOR] if pairs else [])]
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary - len(special),
        min_frequency=2,
        show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.add_special_tokens(special)
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
        for text in texts:
            yield from halves(text)
        read += sum(len(text.encode()) for text in texts)
        progress.show(read, total, "reading the sample")
    progress.say(f"learning merges from {total / 1e6:,.1f} MB")
