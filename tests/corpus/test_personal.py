import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scalelaws.corpus.personal import KINDS, masked


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("jane.doe+news@mail.example.co.uk", "email"),
        ("<o'hara@site.org>".replace("o'", ""), "email"),
        ("8.8.8.8", "ip"),
        ("151.101.1.69", "ip"),
        ("2606:4700:20::681a:229", "ip"),
        ("2606:4700::1111", "ip"),
        ("::ffff:8.8.8.8", "ip"),
        ("+49 (0)30 1234 5678", "phone"),
        ("+1-212-736-5000", "phone"),
        ("(212) 736-5000", "phone"),
        ("212-736-5000", "phone"),
        ("+33 1 42 68 53 00", "phone"),
    ],
)
def test_personal_data_gives_way_to_its_kind(text, kind):
    expected = text.replace(text.strip("<>"), f"[{kind}]")
    assert masked(f"See {text}, and so on.", list(KINDS)) == (f"See {expected}, and so on.", {kind: 1})


def test_the_port_behind_an_address_stays():
    assert masked("8.8.8.8:53, 1.1.1.1:8080", list(KINDS)) == ("[ip]:53, [ip]:8080", {"ip": 2})


@pytest.mark.parametrize(
    "text",
    [
        "user@localhost, @name and a@b",
        "127.0.0.1, 10.1.2.3, 192.168.1.1 and 999.1.1.1",
        "version 1.2.3, 1.2.3.4.5 and v1.2.3.4",
        "std::vector, 12:30:45, a:b::c, 12:30::15 and ab:cd",
        "1914-1918, 2024-11-25, 12,345,678 and 3.14159265",
        "ISBN 978-3-16-148410-0 and 555-0100",
        "order 2127365000 of 10+20",
    ],
)
def test_what_only_looks_like_it_stays(text):
    assert masked(text, list(KINDS)) == (text, {})


@given(st.text(alphabet="a.@+-0123456789: ()[]x", max_size=60))
@settings(deadline=None, max_examples=200)
def test_masked_text_has_nothing_left_to_mask(text):
    once, _ = masked(text, list(KINDS))
    assert masked(once, list(KINDS)) == (once, {})


def test_only_the_kinds_asked_for_are_masked():
    assert masked("a@b.org 8.8.8.8", ["ip"]) == ("a@b.org [ip]", {"ip": 1})


def test_long_runs_do_not_hold_it_up():
    for run in ("a." * 50_000 + "@", "1." * 50_000, "a:" * 50_000, "+1 " * 50_000, "a@" * 50_000):
        masked(run, list(KINDS))
