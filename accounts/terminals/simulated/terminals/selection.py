"""Symbol groups as MetaTrader writes them: ``*USD*,!EUR*``."""

import functools
import re


def in_group(symbol: str, group: str | None) -> bool:
    """Tell whether a symbol is in a group of masks; the asterisk alone stands for any text.

    The masks apply in order: one with an exclamation mark takes out what came before it.
    """
    if group is None:
        return True
    chosen = False
    for is_exclusion, mask in _masks(group):
        if chosen == is_exclusion and mask.fullmatch(symbol):
            chosen = not is_exclusion
    return chosen


@functools.lru_cache(maxsize=256)
def _masks(group: str) -> tuple[tuple[bool, re.Pattern[str]], ...]:
    parts = [part.strip() for part in group.split(",")]
    return tuple((part.startswith("!"), _mask(part.removeprefix("!"))) for part in parts)


def _mask(text: str) -> re.Pattern[str]:
    return re.compile(".*".join(map(re.escape, text.split("*"))), re.DOTALL)
