"""Symbol groups as MetaTrader writes them: ``*USD*,!EUR*``."""

from fnmatch import fnmatchcase


def in_group(symbol: str, group: str | None) -> bool:
    """Tell whether a symbol is in a group of wildcard patterns.

    The patterns apply in order: one with an exclamation mark takes out what came before it.
    """
    if group is None:
        return True
    chosen = False
    for part in group.split(","):
        pattern = part.strip()
        if pattern.startswith("!"):
            chosen = chosen and not fnmatchcase(symbol, pattern[1:])
        else:
            chosen = chosen or fnmatchcase(symbol, pattern)
    return chosen
