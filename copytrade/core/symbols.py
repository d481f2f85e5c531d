"""Finding a provider's symbol on the follower's server: EURUSD, EURUSD.r, mEURUSD …

Names keep their case: a broker's EURUSDm and EURUSDM may be two things.
"""

import re
from collections import Counter
from collections.abc import Mapping
from functools import lru_cache
from typing import Final, NamedTuple

# Two of these in a row are a currency pair, or a metal in a currency.
_ANY: Final = (
    "AUD|BRL|CAD|CHF|CLP|CNH|CNY|COP|CZK|DKK|EUR|GBP|HKD|HUF|IDR|ILS|INR|JPY|KRW|MXN|NOK|NZD|PLN"
    "|RON|RUB|SEK|SGD|THB|TRY|TWD|USD|XAG|XAU|XPD|XPT|ZAR"
)
_PAIR: Final = re.compile(f"(?P<prefix>.*?)(?:{_ANY})(?:{_ANY})(?P<suffix>.*)")
# Without such a sign "GOLD" and "GOLDMAN" would be the same thing.
_MARKED: Final = re.compile(
    r"(?P<core>[A-Za-z0-9&]{2,}?)(?P<suffix>[._#\-+!^][A-Za-z0-9._\-]{0,6})"
)
_LONGEST_AFFIX: Final = 7
_USUAL_VOTES: Final = 3


class Affix(NamedTuple):
    """What a server puts around the names of its symbols."""

    prefix: str = ""
    suffix: str = ""

    def around(self, core: str) -> str:
        return f"{self.prefix}{core}{self.suffix}"

    def stripped(self, name: str) -> str | None:
        """Return what the affix stands around; None when the name does not carry it."""
        if len(name) <= len(self.prefix) + len(self.suffix):
            return None
        if not (name.startswith(self.prefix) and name.endswith(self.suffix)):
            return None
        return name[len(self.prefix) : len(name) - len(self.suffix)]


@lru_cache(maxsize=4096)
def usual_affixes(names: frozenset[str]) -> tuple[Affix, ...]:
    """Return what a server puts around its currency pairs, the most common first.

    Of equally common ones the shorter comes first.
    """
    votes = Counter[Affix]()
    for name in names:
        found = _PAIR.fullmatch(name)
        if found is None:
            continue
        affix = Affix(found["prefix"], found["suffix"])
        if max(len(affix.prefix), len(affix.suffix)) <= _LONGEST_AFFIX:
            votes[affix] += 1
    return tuple(sorted(votes, key=lambda each: (-votes[each], len("".join(each)), each)))


@lru_cache(maxsize=4096)
def marked_suffixes(names: frozenset[str]) -> frozenset[str]:
    """Return the suffixes behind a mark ("AAPL.us") that several symbols of a server share."""
    found = (_MARKED.fullmatch(name) for name in names)
    votes = Counter(match["suffix"] for match in found if match is not None)
    return frozenset(suffix for suffix, count in votes.items() if count >= _USUAL_VOTES)


def match_symbol(
    symbol: str,
    symbol_map: Mapping[str, str],
    provider_names: frozenset[str],
    follower_names: frozenset[str],
) -> str | None:
    """Return what the follower's server calls a provider's symbol; None when it has none.

    The map decides where it names the symbol; then the exact name, then what is left without the
    provider's usual affix, with those of the follower's. Two candidates alike are none.
    Source: DOMAIN.md, part 4.
    """
    mapped = symbol_map.get(symbol)
    if mapped is not None:
        return mapped if mapped in follower_names else None
    return _matched(symbol, provider_names, follower_names)


@lru_cache(maxsize=65_536)
def _matched(
    symbol: str, provider_names: frozenset[str], follower_names: frozenset[str]
) -> str | None:
    if symbol in follower_names:
        return symbol
    cores = _cores(symbol, provider_names)
    for core in cores:
        if core in follower_names:
            return core
        for affix in usual_affixes(follower_names):
            if affix.around(core) in follower_names:
                return affix.around(core)
    suffixes = marked_suffixes(follower_names)
    found = {core + suffix for core in cores for suffix in suffixes} & follower_names
    return found.pop() if len(found) == 1 else None


def _cores(symbol: str, names: frozenset[str]) -> list[str]:
    """Return what a symbol may be called without its affix, the likeliest first."""
    cores = [symbol]
    affixes = list(usual_affixes(names))
    pair = _PAIR.fullmatch(symbol)
    if pair is not None:
        affixes.append(Affix(pair["prefix"], pair["suffix"]))
    marked = _MARKED.fullmatch(symbol)
    if marked is not None and marked["suffix"] in marked_suffixes(names):
        affixes.append(Affix("", marked["suffix"]))
    for affix in affixes:
        core = affix.stripped(symbol)
        if core is not None and core not in cores:
            cores.append(core)
    return cores
