"""Personal data in texts: e-mail addresses, public IP addresses and phone numbers give way to what they were."""

import ipaddress
import re
from collections import Counter
from collections.abc import Callable, Iterable

EMAIL = re.compile(r"(?<![\w.+-])[\w.+%-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}(?![\w@-])")
IP = re.compile(
    r"(?<![\w.:-])(?:"
    r"(?:::ffff:)?(?:\d{1,3}\.){3}\d{1,3}(?![\w-]|\.\d)"  # a port may follow
    r"|(?:[0-9a-fA-F]{1,4}(?:::?[0-9a-fA-F]{1,4}){3,7}|(?:[0-9a-fA-F]{1,4}:){2,6}(?::[0-9a-fA-F]{1,4}){1,5})(?![\w:-]|\.\d)"
    r")"
)
PHONE = re.compile(
    r"(?<![\w.+/=-])(?:"
    r"\+\d{1,3}[ .-]?(?:\(\d{1,4}\)[ .-]?)?\d{1,4}(?:[ .-]?\d{2,4}){2,4}"  # +49 (0)30 1234 5678
    r"|(?:1[ .-])?(?:\([2-9]\d\d\) ?|[2-9]\d\d[.-])[2-9]\d\d[ .-]\d{4}"  # (212) 736-5000, of North America
    r")(?![\w/=-]|\.\d)"
)
GIVEN_OUT = ipaddress.IPv6Network("2000::/3")
"""The addresses of IPv6 that hosts have."""
LEAST_DIGITS, MOST_DIGITS = 8, 15
"""Of an international number, by ITU-T E.164."""


def masked(text: str, kinds: Iterable[str]) -> tuple[str, Counter[str]]:
    """The text with [email], [ip] and [phone] in place of personal data of these kinds, and how many there were."""
    found = Counter[str]()
    for kind in kinds:
        pattern, hint, accepts = KINDS[kind]
        if hint in text:
            text, number = _replaced(text, pattern, f"[{kind}]", accepts)
            if number:
                found[kind] = number
    return text, found


def _replaced(text: str, pattern: re.Pattern[str], mask: str, accepts: Callable[[str], bool]) -> tuple[str, int]:
    number = 0

    def replacement(match: re.Match[str]) -> str:
        nonlocal number
        if not accepts(match[0]):
            return match[0]
        number += 1
        return mask

    return pattern.sub(replacement, text), number


def _is_public(address: str) -> bool:
    """Private, loopback and documentation addresses are nobody's; what only looks like IPv6 lies outside its net."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        return ip.ipv4_mapped.is_global if ip.ipv4_mapped else ip in GIVEN_OUT and ip.is_global
    return ip.is_global


def _is_number(phone: str) -> bool:
    return LEAST_DIGITS <= sum(map(str.isdigit, phone)) <= MOST_DIGITS


KINDS: dict[str, tuple[re.Pattern[str], str, Callable[[str], bool]]] = {
    "email": (EMAIL, "@", lambda _: True),
    "ip": (IP, "", _is_public),
    "phone": (PHONE, "", _is_number),
}
"""Kind -> its pattern, what every text with one holds, and whether what the pattern found is one."""
