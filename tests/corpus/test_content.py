"""Content is unpacked as it comes: whole or refused, and never more of it than is wanted."""

import asyncio
import gzip
import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scalelaws.corpus.content import BrokenContentError, unpacked


def bare(data):
    """Deflate without zlib's header, as some servers send it."""
    stream = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return stream.compress(data) + stream.flush()


PACKINGS = {"gzip": gzip.compress, "x-gzip": gzip.compress, "deflate": zlib.compress, "": bytes, "identity": bytes}


def read(data, encoding, most=1 << 20, piece=7):
    """The content of bytes that come a few at a time."""

    async def parts():
        for start in range(0, len(data), piece):
            yield data[start : start + piece]

    return asyncio.run(unpacked(parts(), encoding, most))


@given(st.binary(max_size=300), st.sampled_from(sorted(PACKINGS)), st.integers(1, 50), st.integers(0, 300))
def test_what_was_packed_comes_back_up_to_what_is_wanted(data, encoding, piece, most):
    assert read(PACKINGS[encoding](data), encoding, most, piece) == (data[:most], len(data) > most)


def test_what_servers_send_besides_the_standard_is_understood():
    assert read(bare(b"bare " * 50), "deflate") == (b"bare " * 50, False)
    assert read(gzip.compress(b"one, ") + gzip.compress(b"two"), " GZip ") == (b"one, two", False)
    assert read(gzip.compress(b"padded") + b"\0" * 20, "gzip") == (b"padded", False)
    assert read(b"", "gzip") == (b"", False)


@given(st.binary(min_size=20, max_size=300), st.sampled_from(["gzip", "deflate"]), st.data())
def test_content_that_is_cut_short_is_never_taken_for_whole(data, encoding, draw):
    packed = PACKINGS[encoding](data)
    cut = draw.draw(st.integers(1, len(packed) - 1))
    with pytest.raises(BrokenContentError):
        read(packed[:cut], encoding)


@pytest.mark.parametrize(("data", "encoding"), [(b"<p>plain</p>", "gzip"), (b"<p>plain</p>", "deflate"), (b"x", "br")])
def test_content_that_is_not_packed_as_it_says_is_refused(data, encoding):
    with pytest.raises(BrokenContentError):
        read(data, encoding)


def test_a_bomb_is_inflated_no_further_than_what_is_wanted():
    bomb = gzip.compress(b"\0" * 200_000_000)
    tracemalloc.start()
    assert read(bomb, "gzip", most=100_000, piece=1 << 16) == (b"\0" * 100_000, True)
    assert tracemalloc.get_traced_memory()[1] < 2_000_000
    tracemalloc.stop()
