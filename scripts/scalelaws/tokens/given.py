"""A vocabulary that the user has, such as GPT-2's own, taken over in place of one that is learned."""

from pathlib import Path

from tokenizers import Tokenizer, models

from scalelaws.errors import InputError
from scalelaws.io import atomic_path, write_json
from scalelaws.recipe import provenance
from scalelaws.tokens.bpe import END_OF_DOCUMENT, SEPARATOR, byte_characters, byte_level, save_tokenizer
from scalelaws.tokens.encoder import Encoder


def take_tokenizer(file: str | Path, folder: str | Path, vocabulary: int, recipe: str, *, pairs: bool = False) -> None:
    """Save the tokenizer in a file in `folder`, as train_tokenizer saves one.

    The file is a tokenizer.json of the `tokenizers` library, or the merges of GPT-2's kind (vocab.bpe, merges.txt), one
    pair a line, from which GPT-2's numbering follows. For `pairs` of texts it gets a SEPARATOR besides. Raises
    InputError for a file that is neither, or that has another number of ids than `vocabulary`.
    """
    path = Path(file)
    tokenizer = _from_json(path) if path.suffix == ".json" else _from_merges(path)
    if pairs:
        tokenizer.add_special_tokens([SEPARATOR])
    Encoder(tokenizer)
    if (found := tokenizer.get_vocab_size()) != vocabulary:
        separator = f", {SEPARATOR} for pairs included" if pairs else ""
        problem = f"{path} has {found:,} ids{separator}, and {vocabulary:,} are asked for"
        raise InputError("config: tokenizer.vocabulary", problem, f"Set it to {found}.")
    with atomic_path(folder) as temporary:
        save_tokenizer(tokenizer, temporary)
        write_json(temporary / "provenance.json", provenance(recipe, 0, {}, [path], ["tokenizers"]))


def _from_json(path: Path) -> Tokenizer:
    try:
        return Tokenizer.from_str(path.read_text(encoding="utf-8"))
    except Exception as error:  # the library raises bare Exception for content that it cannot read
        raise _unreadable(path, str(error)) from None


def _from_merges(path: Path) -> Tokenizer:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable(path, str(error)) from None
    merges = []
    ids = {character: number for number, character in enumerate(sorted(byte_characters()))}
    for number, line in enumerate(lines, 1):
        if (number == 1 and line.startswith("#version")) or not line:
            continue
        pair = tuple(line.split(" "))
        if len(pair) != 2 or not all(part in ids for part in pair):
            raise _unreadable(path, f"line {number} is no pair of pieces that came before")
        merges.append((pair[0], pair[1]))
        ids.setdefault("".join(pair), len(ids))
    tokenizer = byte_level(models.BPE(vocab=ids, merges=merges))
    tokenizer.add_special_tokens([END_OF_DOCUMENT])
    return tokenizer


def _unreadable(path: Path, why: str) -> InputError:
    return InputError(
        str(path), f"not a vocabulary ({why})", "Give a tokenizer.json, or GPT-2's vocab.bpe or merges.txt."
    )
