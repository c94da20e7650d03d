"""Remove duplicates: equal texts, other versions of the same page, and near-duplicates, one survivor for each group.

First a signature, band keys and a few numbers of every document go to files (`sign`); then duplicates are told from
these, round by round (`match`); at last the survivors are written, ordered by id. Neither who survives nor the order
depends on how the documents came, nor on how many jobs signed and matched them.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import groupby
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import xxhash
from numpy.typing import NDArray

from scalelaws.corpus.documents import (
    Digest,
    Document,
    DocumentWriter,
    Shards,
    batches,
    count_documents,
    digested,
    read_documents,
    shards_of,
    text_bytes,
)
from scalelaws.corpus.duplicates import IN_TRAINING, REASONS, Lost, lost_of, pairs_of
from scalelaws.corpus.funnel import Funnel
from scalelaws.corpus.minhash import MinHash, Signatures
from scalelaws.corpus.ngrams import Hashes
from scalelaws.corpus.parts import WHOLE, Part
from scalelaws.corpus.settings import ROUNDS
from scalelaws.corpus.shuffle import in_order_of_id
from scalelaws.corpus.signatures import KEYS, SignatureFiles, Signed, open_signatures, signed_digest
from scalelaws.errors import InputError
from scalelaws.io import atomic_path, scratch_folder, write_json
from scalelaws.recipe import provenance
from scalelaws.workers import Show, ordered_map, sure

Matches = Mapping[str, Sequence[Path]]
"""Of each of the first rounds the files of its parts."""


def deduplicate(
    documents: Path,
    training: Path | None,
    folder: Path,
    signatures: Path,
    report: Path,
    settings: Mapping[str, Any],
    seed: int,
    recipe: str,
    processes: int,
    show: Show,
    signed: Sequence[Path] = (),
    matches: Matches = MappingProxyType({}),
) -> None:
    """Write one document of each group of duplicates to `folder`, and the counts to `report` (JSON).

    The survivors' keys and signatures go to the folder `signatures`. `training` is such a folder of the training
    corpus: what is a duplicate of a document there goes too. `settings`: ngram (words), bands, rows, threshold
    (estimated Jaccard similarity from which texts are duplicates). `signed` and `matches` are what `sign` and `match`
    wrote for all parts of the documents; without them both are done here. Raises InputError if nothing is left, or if
    `training` was made with other settings.
    """
    minhash = MinHash(**settings, seed=seed)
    funnel = Funnel("deduplicate")
    shards = [shard for part in _parts(len(signed)) for shard in part.chosen(shards_of(documents))]
    with (
        scratch_folder(folder.with_name("duplicates")) as scratch,
        atomic_path(folder) as temporary,
        atomic_path(signatures) as kept_signatures,
        DocumentWriter(temporary, "documents") as writer,
    ):
        if not signed:
            open_signatures([], minhash, training)  # settings that do not fit are told before any work
            sign(shards, scratch / "signed", settings, seed, processes, show)
        every = open_signatures(signed or [scratch / "signed"], minhash, training)
        lost = lost_of(_read(matches) if matches else _all_pairs(every, minhash), every)
        survivors = _survivors(digested(read_documents(shards), funnel.entered), every.fixed, lost, funnel)
        order = scratch / "order"
        with order.open("wb") as places:
            for place, document in in_order_of_id(survivors, scratch, text_bytes(documents)):
                writer.write(document)
                places.write(place.to_bytes(8, "little"))
        funnel.require_documents(f"{folder.parent.name}: deduplicate")
        _require_same(signed, funnel.entered)
        every.write_chosen(kept_signatures, np.memmap(order, "<i8", "r"), minhash, writer.digest)
        funnel.name_survivors(_urls(shards, funnel.notes(), every.fixed))
        curve = {f"{s / 10:.1f}": round(minhash.candidate_probability(s / 10), 4) for s in range(3, 11)}
        inputs = [documents, *([training] if training else [])]
        made_with = provenance(recipe, seed, settings, inputs, ["numpy", "pyarrow", "scipy", "xxhash"])
        write_json(report, funnel.as_dict(writer.digest) | {"s_curve": curve, "provenance": made_with})


def sign(
    documents: Shards,
    folder: Path,
    settings: Mapping[str, Any],
    seed: int,
    processes: int,
    show: Show,
    part: Part = WHOLE,
) -> None:
    """Write what is told from the text of each document of a part to a folder, computed in several processes."""
    minhash, shards, entered = MinHash(**settings, seed=seed), part.chosen(shards_of(documents)), Digest()
    total, done = count_documents(shards), 0
    with atomic_path(folder) as temporary:
        files = SignatureFiles(temporary, minhash, total)
        signed = partial(_signed, minhash=minhash)
        for batch, rows in sure(ordered_map(signed, batches(shards, digest=entered), processes)):
            files.add(*rows)
            done += len(batch)
            show(done, total, "signing")
        files.close(entered)


def match(
    signed: Sequence[Path],
    training: Path | None,
    former: Matches,
    file: Path,
    settings: Mapping[str, Any],
    seed: int,
    name: str,
    part: Part = WHOLE,
) -> None:
    """Write the pairs that a round finds in one part of the hashes, `former` being what the rounds before it found."""
    minhash = MinHash(**settings, seed=seed)
    every = open_signatures(signed, minhash, training)
    pairs = pairs_of(name, every, lost_of(_read(former), every).places, minhash, part)
    with atomic_path(file) as temporary, temporary.open("wb") as opened:
        np.save(opened, pairs)


def rounds_of(files: Sequence[str]) -> Matches:
    """The files that `match` wrote, <round>/<part>.npy, by their rounds, which come in order."""
    return {name: [*map(Path, paths)] for name, paths in groupby(files, lambda file: Path(file).parent.name)}


def _require_same(signed: Sequence[Path], documents: Digest) -> None:
    """Raise InputError unless the signatures, if others made them, are of these very documents."""
    whole = Digest()
    for folder in signed:
        whole.join(signed_digest(folder))
    if signed and str(whole) != str(documents):
        remedy = "Make them again: snakemake corpus --forcerun sign."
        raise InputError(str(signed[0].parent), "the signatures are those of other documents", remedy)


def _parts(count: int) -> list[Part]:
    return [Part(number, count) for number in range(count)] or [WHOLE]


def _read(matches: Matches) -> list[NDArray]:
    return [np.concatenate([np.load(path) for path in paths]) for paths in matches.values()]


def _all_pairs(signed: Signed, minhash: MinHash) -> list[NDArray]:
    found: list[NDArray] = []
    for name in ROUNDS:
        found.append(pairs_of(name, signed, lost_of(found, signed).places, minhash))
    return found


def _signed(batch: list[Document], minhash: MinHash) -> tuple[NDArray, Signatures, Hashes]:
    keys = np.zeros(len(batch), KEYS)
    for row, document in zip(keys, batch, strict=True):
        for field, value in (("id", document.id), ("text", document.text)):
            row[field] = np.frombuffer(xxhash.xxh3_128_digest(value.encode()), "<u8")
        row["bytes"] = document.bytes
        row["rest"] = xxhash.xxh3_64_intdigest("\0".join((document.url, document.source, document.title)).encode())
    signatures = np.stack([minhash.signature(document.text) for document in batch])
    return keys, signatures, minhash.band_keys(signatures)


def _survivors(documents: Iterator[Document], first: int, lost: Lost, funnel: Funnel) -> Iterator[tuple[int, Document]]:
    """The documents that stay, with their places from `first` on; the others are counted, under the place of what is
    kept instead."""
    next_lost = 0
    for place, document in enumerate(documents, first):
        if next_lost < len(lost.places) and place == lost.places[next_lost]:
            survivor = int(lost.survivors[next_lost])
            reason = IN_TRAINING if survivor < first else REASONS[ROUNDS[lost.round[next_lost]]]
            funnel.drop(document, reason, str(survivor))
            next_lost += 1
        else:
            funnel.keep(document)
            yield place, document


def _urls(documents: Shards, wanted: set[str], fixed: int) -> dict[str, str]:
    """The URLs of documents by their places; those of another corpus stay without one."""
    urls = {place: "a document of the training corpus" for place in wanted if int(place) < fixed}
    for place, document in enumerate(read_documents(documents), fixed):
        if str(place) in wanted:
            urls[str(place)] = document.url
    return urls
