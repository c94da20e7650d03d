"""What a robots.txt is cut down to says the same as the whole, however it is written."""

from hypothesis import given, settings
from hypothesis import strategies as st
from protego import Protego
from scalelaws.corpus.robots import own_part, parsed

HEADS = ["User-agent: ", "user agent: ", "Useragent ", "User-agent:", "USER-AGENT :", "User-agent-x: "]
NAMES = ["*", "scalelaws", "scalelaws*", "*laws", "Googlebot", "bot", "a", "scalelaws-tests/1.0", "", "x*y", "law"]
RULES = ["Disallow: ", "Allow: ", "disallow ", "Dissalow: ", "Disallow", "allow:"]
PATHS = ["/", "/a", "/a/b", "/*.cgi$", "", "/b#c", " /a "]
OTHERS = ["", "# a comment", "Crawl-delay: 5", "crawl delay 3", "Sitemap: http://a.example/s", "host: a.example"]
OTHERS += ["nonsense", "nonsense: x", "nonsense:x", "User-agent", " user-agent: * # all", "Sitemap http://b.example/x"]
LINES = st.one_of(
    st.builds(str.__add__, st.sampled_from(HEADS), st.sampled_from(NAMES)),
    st.builds(str.__add__, st.sampled_from(RULES), st.sampled_from(PATHS)),
    st.sampled_from(OTHERS),
)


@given(st.lists(LINES, max_size=14).map("\n".join), st.sampled_from(["scalelaws-tests/1.0 (a)", "scalelaws"]))
@settings(max_examples=1500, deadline=None)
def test_the_own_part_allows_and_wishes_what_the_whole_does(text, user_agent):
    whole, own = Protego.parse(text), parsed(own_part(text, user_agent))
    for path in ("/", "/a", "/a/b", "/x.cgi", "/b"):
        url = f"http://a.example{path}"
        assert own.can_fetch(url, user_agent) == whole.can_fetch(url, user_agent)
    assert own.crawl_delay(user_agent) == whole.crawl_delay(user_agent)
    assert list(own.sitemaps) == list(whole.sitemaps)


def test_of_many_agents_with_many_rules_none_but_ours_is_left():
    """The parser would keep each rule for each of them, a hundred million in all."""
    agents, rules = ([f"{head}{number}" for number in range(10_000)] for head in ("User-agent: robot", "Disallow: /"))
    own = own_part("\n".join([*agents, "User-agent: *", *rules]), "scalelaws")
    assert own.splitlines() == ["user-agent: *", *rules]
    assert not parsed(own).can_fetch("http://a.example/9999", "scalelaws")
