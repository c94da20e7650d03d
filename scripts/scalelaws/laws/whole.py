"""What is told of a file of fitted laws that is missing, cut off or another's: one line that names it."""

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from zipfile import BadZipFile

from scalelaws.errors import InputError


@contextmanager
def whole(path: str | Path) -> Iterator[None]:
    """Read a laws.json or its draws inside: InputError where the file is not there or does not hold what it should."""
    try:
        yield
    except FileNotFoundError:
        raise InputError(str(path), "there is no such file", _remedy(path)) from None
    except InputError:
        raise
    except (ValueError, LookupError, TypeError, AttributeError, OSError, EOFError, BadZipFile, zlib.error) as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise InputError(str(path), f"damaged, or no file of fitted laws ({reason})", _remedy(path)) from None


def _remedy(path: str | Path) -> str:
    """A kept study has its observations in place of its draws."""
    beside = Path(path).with_name("observations.parquet")
    return f"Fit them: scalelaws fit {beside if beside.is_file() else '<table>'}."
