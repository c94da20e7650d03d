"""URLs in one canonical form."""

import re

from yarl import URL

TRACKING = re.compile(
    r"(?:utm|mtm|itm|vero|oly|hsa)_\w+|(?:g|fb|dc|y|tw)clid|msclkid|gbraid|wbraid|igsh(?:id)?|mc_[ce]id|mkt_tok|_ga|_gl|"
    r"_hsenc|_hsmi|ref_src",
    re.IGNORECASE,
)
"""Names of a query's parameters that say whence a reader came, and not which page."""
NO_HOST = re.compile(r"[\s\x00-\x1f\x7f]")
"""What no host's name has, though the libraries let it pass."""


def canonical_url(url: str) -> str | None:
    """The one form of a web URL: lower-case host, no user, fragment, default port or tracking parameters.

    The rest of its query stays as it is, for a server may tell pages apart by any of it. None where it is not an http
    or https URL.
    """
    try:
        parsed = URL(url.strip())
        host = (parsed.raw_host or "").rstrip(".")
        if parsed.scheme not in ("http", "https") or not host or NO_HOST.search(parsed.host or ""):
            return None
        port = "" if parsed.is_default_port() or parsed.explicit_port is None else f":{parsed.explicit_port}"
        found = URL.build(
            scheme=parsed.scheme,
            authority=(f"[{host}]" if ":" in host else host) + port,
            path=parsed.raw_path or "/",
            query_string="&".join(part for part in parsed.raw_query_string.split("&") if not _tracks(part)),
            encoded=True,
        )
        return str(found)
    except (ValueError, IndexError):  # the latter of brackets before an @
        return None


def _tracks(parameter: str) -> bool:
    return not parameter or bool(TRACKING.fullmatch(parameter.partition("=")[0]))
