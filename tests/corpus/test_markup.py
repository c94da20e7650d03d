import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scalelaws.corpus.markup import html_of, inline


@pytest.mark.parametrize(
    ("docstring", "html"),
    [
        ("One sentence\nover two lines.", "<p>One sentence over two lines.</p>"),
        ("Parameters\n----------\nx : int\n    A number.", "<h4>Parameters</h4>\n<ul><li>x : int: A number.</li></ul>"),
        ("a : int\nb : float", "<ul><li>a : int</li>\n<li>b : float</li></ul>"),
        ("Args:\n    lock: The lock.\n    timeout: Seconds.",
         "<h4>Args</h4>\n<ul><li>lock: The lock.</li>\n<li>timeout: Seconds.</li></ul>"),
        ("Args:\n    a: One, which\n        goes on.", "<h4>Args</h4>\n<ul><li>a: One, which goes on.</li></ul>"),
        (":param str name: What it is.\n:returns: Nothing.",
         "<ul><li>name: What it is.</li>\n<li>Returns: Nothing.</li></ul>"),
        (">>> 1 + 1\n2\n\nText.", "<pre>&gt;&gt;&gt; 1 + 1\n2</pre>\n<p>Text.</p>"),
        ("Like this::\n\n    a = 1\n\n    b = 2", "<p>Like this:</p>\n<pre>a = 1\n\nb = 2</pre>"),
        ("```python\nx = 1\n```\nText.", "<pre>x = 1</pre>\n<p>Text.</p>"),
        ("- one\n  more\n- two", "<ul><li>one more</li>\n<li>two</li></ul>"),
        (".. note:: Take care.", "<p><strong>Note</strong> Take care.</p>"),
        (".. versionadded:: 1.2", "<p>New in version 1.2</p>"),
        (".. math::\n\n    a^2", "<pre>a^2</pre>"),
        (".. [1] A book.", "<p>[1] A book.</p>"),
        ("=== ===\na   b\n=== ===", "<pre>=== ===\na   b\n=== ===</pre>"),
        (".. comment that nobody reads", ""),
    ],
)  # fmt: skip
def test_each_convention_becomes_the_html_that_it_means(docstring, html):
    assert html_of("\n" + docstring) == html


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("``a < b``", "<code>a &lt; b</code>"),
        (":class:`~pkg.Thing`", "<code>pkg.Thing</code>"),
        ("`site <http://a.example>`_", '<a href="http://a.example">site</a>'),
        ("**bold** and *soft*", "<strong>bold</strong> and <em>soft</em>"),
        ("f(*args, **kwargs) is 2 * 3 * 4", "f(*args, **kwargs) is 2 * 3 * 4"),
    ],
)
def test_inline_markup_becomes_html(text, html):
    assert inline(text) == html


LINES = st.sampled_from(
    ["text here", "    more", "", "- item", "1. one", "a : int", "b: text", "----", ">>> x", "::", ".. note:: x", "```",
     "Args:", ":param x: y", "        deep", "=== ===", "| a | b |", "word", ".. [1] ref", "for x in y:", "    a = 1"]
)  # fmt: skip


@given(st.lists(LINES, max_size=25))
@settings(deadline=None, max_examples=300)
def test_every_word_of_a_docstring_survives_in_any_mixture_of_conventions(lines):
    docstring = "\n".join(["", *lines])
    html = re.sub(r"</?\w[^>]*>", " ", html_of(docstring))
    for word in ("text", "item", "word", "deep"):
        assert len(re.findall(rf"\b{word}\b", html)) >= len(re.findall(rf"\b{word}\b", docstring))
