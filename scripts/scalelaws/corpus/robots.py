"""What a robots.txt says to this crawler (RFC 9309)."""

import re
from functools import lru_cache

from protego import Protego

AGENT = re.compile(r"user[- ]?agent(?:\s*:|\s+|$)(.*)", re.IGNORECASE)
SITE_WIDE = re.compile(r"(?:site-?maps?|host)(?:\s*:|\s)", re.IGNORECASE)
RULE = re.compile(
    r"(?:dis+al+ow|diasllow|disallaw|allow|crawl[- ]delay|request[- ]rate|visit[- ]time)(?:\s|$)", re.IGNORECASE
)
"""How the parser takes a rule that has no colon; of other words without one it makes nothing."""


def own_part(text: str, user_agent: str) -> str:
    """The lines of a robots.txt that are for everybody or for `user_agent`, and its sitemaps.

    The parser keeps each rule once for every agent of its group: a small file of many agents and many rules would take
    all memory.
    """
    name, lines = user_agent.lower(), list[str]()
    among_agents = ours = False
    for line in text.splitlines():
        bare = line.split("#")[0].strip()
        if match := AGENT.fullmatch(bare):
            if not among_agents:
                among_agents, ours = True, False
            agent = match[1].strip().lower()
            if agent == "*" or ((agent := agent.replace("*", "")) and agent in name):
                ours = True
                lines.append(f"user-agent: {agent}")
        elif SITE_WIDE.match(bare):
            lines.append(bare)
        elif ":" in bare or RULE.match(bare):
            among_agents = False
            if ours:
                lines.append(bare)
    return "\n".join(lines)


@lru_cache(maxsize=256)
def parsed(text: str) -> Protego:
    """The rules of an `own_part`; those of the last few are remembered."""
    return Protego.parse(text)
