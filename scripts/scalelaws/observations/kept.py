"""What a finished study must keep for its laws, figures and report to be made again."""

from collections.abc import Iterable
from pathlib import Path

from scalelaws.errors import InputError

TABLES = ("observations.parquet", "runs.parquet")
TRAINED = ("positions.parquet", "plan.csv")
"""What a study has beside its tables where it trained its runs itself."""


def kept_files(corpora: Iterable[str]) -> list[str]:
    """The files of a study with these corpora, none of a table from elsewhere, as paths in its results folder."""
    cards = [f"corpus/{corpus}/card.json" for corpus in corpora]
    return [*TABLES, *(TRAINED if cards else ()), *cards]


def check_kept(folder: str | Path, corpora: Iterable[str], where: str, remedy: str) -> None:
    """Raise InputError, which blames `where`, unless `folder` holds all of them."""
    for name in kept_files(corpora):
        if not (Path(folder) / name).is_file():
            raise InputError(where, f"{Path(folder) / name} is not there", remedy)
