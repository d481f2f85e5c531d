"""How a letter reads as a text message, which is paid for by length.

A message in the phones' basic alphabet (GSM 03.38) takes 153 signs a part, any other 67: signs of
typography are written plainly, and never more than three parts are sent.
"""

from notifications.delivering.letters import Letter

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
    text = text.strip()
    longest = PARTS * (BASIC_PART if _is_basic(text) else OTHER_PART)
    if length(text) <= longest:
        return text
    kept = text
    while length(kept) > longest - 3:
        kept = kept[:-1]
    return f"{kept.rstrip()}..."


def length(text: str) -> int:
    """Return how many signs a text takes in the alphabet that it needs."""
    if _is_basic(text):
        return sum(2 if sign in _DOUBLE else 1 for sign in text)
    return len(text.encode("utf-16-le", errors="surrogatepass")) // 2


def _is_basic(text: str) -> bool:
    return all(sign in _BASIC or sign in _DOUBLE for sign in text)
