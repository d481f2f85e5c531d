"""What a server calls the broker's symbols: EURUSD, EURUSD.r, EURUSDm, mEURUSD …"""

from dataclasses import dataclass

from .catalogue import CONTRACT_INDEX, CONTRACTS


@dataclass(frozen=True, slots=True)
class Naming:
    """A server's prefix and suffix around the names of the contracts."""

    prefix: str = ""
    suffix: str = ""

    def listed(self, symbol: int) -> str:
        """Return what the server calls a symbol; "" for the -1 of a balance operation."""
        return f"{self.prefix}{CONTRACTS[symbol].name}{self.suffix}" if symbol >= 0 else ""

    def path(self, symbol: int) -> str:
        """Return where a symbol stands in the server's tree; the last branch is its own name."""
        folder, _, _ = CONTRACTS[symbol].path.rpartition("\\")
        return f"{folder}\\{self.listed(symbol)}"

    def symbol(self, name: str) -> int | None:
        """Return the number of the symbol that the server calls so; MetaTrader minds the case."""
        if not (name.startswith(self.prefix) and name.endswith(self.suffix)):
            return None
        return CONTRACT_INDEX.get(name[len(self.prefix) : len(name) - len(self.suffix)])
