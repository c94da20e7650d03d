from scalelaws.corpus.docstrings import MINIMUM_CHARACTERS, module_entries, module_page

SOURCE = b'''"""What the module is."""

try:
    import nothing
except ImportError:
    pass


def f(a, *rest, key=None, **more):
    """What f does."""

    def inner():
        """Not documentation that readers see."""


class C:
    """What C is."""

    def m(self, x):
        """What m does."""


if True:
    async def g():
        """What g does."""

add_docstr(torch.thing, r"""
thing(input) -> Tensor

Documentation that is attached by a call, long enough to be taken for documentation by who reads it.
""".format(**common))
'''


def test_all_documentation_is_found_with_signatures_in_source_order():
    entries = [(entry.name, entry.depth, entry.text.split()[0]) for entry in module_entries(SOURCE, "pkg.mod")]
    assert entries == [
        ("pkg.mod", 0, "What"),
        ("f(a, *rest, key, **more)", 1, "What"),
        ("class C", 1, "What"),
        ("m(x)", 2, "What"),
        ("g()", 1, "What"),
        ("torch.thing", 1, "thing(input)"),
    ]


def test_nothing_is_executed():
    assert list(module_entries(b"raise SystemExit\nx = 1 / 0", "m")) == []


def test_what_is_not_python_has_no_entries():
    assert list(module_entries(b"def broken(:\n", "m")) == []
    assert list(module_entries(b"\x00", "m")) == []


def test_a_page_is_made_only_where_there_is_something_to_read():
    assert module_page(b'"""Short."""', "m") is None
    long = "Long documentation. " * (MINIMUM_CHARACTERS // 15)
    page = module_page(f'"""{long}"""'.encode(), "pkg.mod")
    assert page is not None and page.startswith("<h1>pkg.mod</h1>") and "Long documentation." in page
