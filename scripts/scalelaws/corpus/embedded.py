"""Texts that installed packages hold beside their documentation: source code, licences, translated messages."""

import re
from collections.abc import Iterator
from pathlib import Path

from babel.messages.mofile import read_mo

from scalelaws.corpus.pinned import Package
from scalelaws.corpus.raw import Raw
from scalelaws.corpus.site import HOST

LICENCE_NAMES = ("LICENSE", "LICENCE", "COPYING", "NOTICE", "COPYRIGHT")
LOCAL_VERSION = re.compile(r"\+[\w.]+(?=\.dist-info/)")
"""The +cpu in torch-2.13.0+cpu.dist-info: which build is installed must not change the id of a text."""
SOURCE = "installed-docs"


def code(packages: list[Package]) -> Iterator[Raw]:
    """Each Python source file as a text."""
    for package, name, path in _files(packages, ".py"):
        yield Raw(_url(package, name), SOURCE, text=path.read_bytes().decode("utf-8", "replace"))


def licences(packages: list[Package]) -> Iterator[Raw]:
    """Each licence or notice that a package carries."""
    for package, name, path in _files(packages, ""):
        stem = name.rsplit("/", 1)[-1].upper()
        if stem.startswith(LICENCE_NAMES) and not stem.endswith((".PY", ".PYC")):
            yield Raw(_url(package, name), SOURCE, text=path.read_bytes().decode("utf-8", "replace"))


def messages(packages: list[Package]) -> Iterator[Raw]:
    """For each package and language other than English the translations in its message catalogues, one a line."""
    for package, locale, catalogues in _translated(packages):
        found = (pair for path in catalogues for pair in _messages(path))
        lines = dict.fromkeys(string for ids, strings in found for string in strings if string and string not in ids)
        text = "\n".join(lines)
        yield Raw(_url(package, f"locale/{locale}"), SOURCE, text=text, title=f"{package.name} {locale}")


def translations(packages: list[Package]) -> Iterator[Raw]:
    """Each message of a catalogue, behind the code of a language other than English, and its translation, as a pair.

    But those that count: languages have other forms for few and for many than English has.
    """
    for package, locale, catalogues in _translated(packages):
        place = _url(package, f"locale/{locale}")
        for path in catalogues:
            for ids, strings in _messages(path):
                if len(ids) == 1 and strings[0] and strings[0] not in ids:
                    yield Raw(place, SOURCE, text=f"{locale} {ids[0]}", target=strings[0], url_is_identity=False)


def _translated(packages: list[Package]) -> Iterator[tuple[Package, str, list[Path]]]:
    """Each package's languages other than English, with their message catalogues."""
    for package in packages:
        catalogues: dict[str, list[Path]] = {}
        for name, path in package.with_suffix(".mo"):
            catalogues.setdefault(_locale(name), []).append(path)
        for locale, paths in sorted(catalogues.items()):
            if locale.split("_")[0] != "en":
                yield package, locale, paths


def _messages(path: Path) -> Iterator[tuple[list[str], list[str]]]:
    """The messages of a catalogue, each in the forms for one and for many of English, and in those of its language."""
    with path.open("rb") as stream:
        catalogue = read_mo(stream)
    for message in catalogue:
        ids, strings = (part if isinstance(part, (list, tuple)) else [part] for part in (message.id, message.string))
        if message.id:  # the catalogue's own header has none
            yield list(map(str, ids)), list(map(str, strings))


def _locale(name: str) -> str:
    """The language in a catalogue's path: …/locale/de/LC_MESSAGES/django.mo."""
    folders = name.split("/")
    return folders[-3] if "LC_MESSAGES" in folders else ""


def _files(packages: list[Package], suffix: str) -> Iterator[tuple[Package, str, Path]]:
    for package in packages:
        for name, path in package.with_suffix(suffix):
            yield package, name, path


def _url(package: Package, name: str) -> str:
    return f"http://{HOST}/_sources/{package.name}/{LOCAL_VERSION.sub('', name)}"


READERS = {"code": code, "licences": licences, "messages": messages, "translations": translations}
