"""The content of an HTTP response unpacked as it comes: never more than is wanted, and whole or refused."""

import zlib
from collections.abc import AsyncIterable

GZIP, ZLIB, BARE = 16 + zlib.MAX_WBITS, zlib.MAX_WBITS, -zlib.MAX_WBITS
FORMATS = {"gzip": GZIP, "x-gzip": GZIP, "deflate": ZLIB, "identity": None, "": None}
ACCEPTED = "gzip, deflate"
"""What a request says that its answer may be packed as."""
MEMBER = b"\x1f\x8b"
"""How a further member of gzip begins; other bytes after its end are padding."""


class BrokenContentError(ValueError):
    """Content that is not packed as its header says, or is cut short."""


async def unpacked(parts: AsyncIterable[bytes], encoding: str, most: int) -> tuple[bytes, bool]:
    """The unpacked content, at most `most` bytes of it, and whether there is more.

    encoding: of the header Content-Encoding. A bomb is inflated no further than `most`. Raises BrokenContentError.
    """
    unpack = Unpacker(encoding)
    content = bytearray()
    async for part in parts:
        content += unpack(part, most + 1 - len(content))
        if len(content) > most:
            return bytes(content[:most]), True
    if not unpack.whole:
        raise BrokenContentError("the packed content is cut short")
    return bytes(content), False


class Unpacker:
    """Unpacks gzip, zlib, or the bare deflate that some servers send under zlib's name; what is not packed stays."""

    def __init__(self, encoding: str) -> None:
        name = encoding.strip().lower()
        if name not in FORMATS:
            raise BrokenContentError(f"packed as {name!r}, which was not asked for")
        self._format, self._begun = FORMATS[name], False
        self._stream = zlib.decompressobj(self._format) if self._format else None

    @property
    def whole(self) -> bool:
        """Whether the content may end here."""
        return self._stream is None or not self._begun or self._stream.eof

    def __call__(self, data: bytes, most: int) -> bytes:
        """What the next bytes are unpacked, at most `most` of it; what is beyond them is lost."""
        if self._stream is None:
            return data[:most]
        found = bytearray()
        while data and len(found) < most:
            if self._stream.eof:
                if not data.startswith(MEMBER):
                    break
                self._stream = zlib.decompressobj(GZIP)
            found += self._inflated(data, most - len(found))
            data = self._stream.unused_data if self._stream.eof else self._stream.unconsumed_tail
        return bytes(found)

    def _inflated(self, data: bytes, most: int) -> bytes:
        assert self._stream is not None
        begun, self._begun = self._begun, True
        try:
            return self._stream.decompress(data, most)
        except zlib.error as error:
            if self._format == ZLIB and not begun:
                self._stream = zlib.decompressobj(BARE)
                return self._inflated(data, most)
            raise BrokenContentError(f"not packed as its header says ({error})") from None
