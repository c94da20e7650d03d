import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scalelaws.corpus.addresses import is_public
from scalelaws.corpus.urls import canonical_url


@pytest.mark.parametrize(
    ("given_url", "canonical"),
    [
        ("HTTP://Example.COM:80/a/../b?utm_source=x&q=1#part", "http://example.com/b?q=1"),
        ("https://example.com", "https://example.com/"),
        (" http://example.com/x ", "http://example.com/x"),
        ("http://example.com:8080/", "http://example.com:8080/"),
        ("http://example.com/showthread.php?12345-A-Title", "http://example.com/showthread.php?12345-A-Title"),
        (
            "http://example.com/?b=2&fbclid=x&a=1&source=feed&UTM_medium=y&igsh=z&clid=7&",
            "http://example.com/?b=2&a=1&source=feed&clid=7",
        ),
        ("http://web.archive.org/web/2020/http://a.org/b;c", "http://web.archive.org/web/2020/http://a.org/b;c"),
        ("http://user:secret@example.com./x", "http://example.com/x"),
        ("http://[2606:4700::1]/x", "http://[2606:4700::1]/x"),
        ("ftp://example.com/", None),
        ("javascript:alert(1)", None),
        ("mailto:a@example.com", None),
        ("//example.com/x", None),
        ("http://", None),
        ("http://example.com:99999/", None),
        ("", None),
    ],
)
def test_a_url_has_one_canonical_form(given_url, canonical):
    assert canonical_url(given_url) == canonical


@given(st.text(max_size=60) | st.from_regex(r"https?://[a-z0-9.\[\]:@%?#/]{0,40}", fullmatch=True))
@settings(deadline=None, max_examples=300)
def test_any_text_is_a_url_or_is_not_and_the_canonical_form_is_stable(text):
    canonical = canonical_url(text)
    if canonical is not None:
        assert canonical.startswith(("http://", "https://"))
        assert canonical_url(canonical) == canonical


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.1.2.3", "192.168.0.1", "172.16.0.1", "169.254.169.254", "0.0.0.0", "100.64.0.1", "224.0.0.1",
     "::1", "fe80::1%eth0", "fc00::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "fec0::1", "::7f00:1", "::",
     "64:ff9b::a00:1", "64:ff9b:1:a00:0:100:808:808", "2002:7f00:1::", "2001:0:1:2:3:4:f7f7:f7f7"],
)  # fmt: skip
def test_addresses_of_private_networks_are_known(address):
    assert not is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_addresses_of_the_internet_are_known(address):
    assert is_public(address)


@pytest.mark.parametrize("url", ["http://a b/", "http://example.com\u3000x/", "http://a\x1cb/", "http://a\tb/x"])
def test_a_host_with_white_space_is_none(url):
    found = canonical_url(url)
    assert found is None or not any(c.isspace() for c in found)
