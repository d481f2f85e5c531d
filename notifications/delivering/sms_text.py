"""How a letter reads as a text message, which is paid for by length.

A message in the phones' basic alphabet (GSM 03.38) takes 153 signs a part, any other 67: signs of
typography are written plainly, and never more than three parts are sent.
"""

from bisect import bisect_right
from itertools import accumulate

from notifications.delivering.letters import Letter

ELLIPSIS = "..."
PARTS = 3
BASIC_PART = 153
OTHER_PART = 67
_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡"
    "ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
# They take two signs.
_DOUBLE = frozenset("^{}\\[~]|€")
_PLAIN = str.maketrans(
    {
        "…": "...",
        "−": "-",
        "–": "-",
        "—": "-",
        "‑": "-",
        "×": "x",
        "·": "-",
        "→": "->",
        "“": '"',
        "”": '"',
        "„": '"',
        "‘": "'",
        "’": "'",
        "\u00a0": " ",
        "\u202f": " ",
        "\u2009": " ",
    }
)


def compose(letter: Letter) -> str:
    """Return a letter as one text message of at most three parts."""
    text = f"TradeGuard: {letter.title}"
    if letter.body and letter.body != letter.title:
        text = f"{text}\n{letter.body}"
    return cut(text.translate(_PLAIN))


def cut(text: str) -> str:
    """Return as much of a text as three parts hold."""
    text = text.strip()[: PARTS * BASIC_PART + 1]
    basic = is_basic(text)
    longest = PARTS * (BASIC_PART if basic else OTHER_PART)
    sizes = [_size(sign, basic=basic) for sign in text]
    if sum(sizes) <= longest:
        return text
    kept = bisect_right(list(accumulate(sizes)), longest - len(ELLIPSIS))
    return f"{text[:kept].rstrip()}{ELLIPSIS}"


def is_basic(text: str) -> bool:
    """Whether phones can write a text in their basic alphabet."""
    return all(sign in _BASIC or sign in _DOUBLE for sign in text)


def _size(sign: str, *, basic: bool) -> int:
    if basic:
        return 2 if sign in _DOUBLE else 1
    return 2 if ord(sign) > 0xFFFF else 1
