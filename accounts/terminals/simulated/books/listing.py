"""The names of a batch's symbols: those of every server that it holds accounts of."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ...readings import Rows
from ..symbols.catalogue import CONTRACTS
from .books import Books

Numbers = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Listing:
    """The symbols of some servers; each name is listed once, whatever servers use it.

    ``codes[server, symbol]`` is the place of a symbol's name in ``names``, and -1 for the -1 of
    a balance operation.
    """

    servers: npt.NDArray[np.intp]
    names: tuple[str, ...]
    codes: Numbers

    def renumber(self, rows: Rows, server_of: npt.NDArray[np.int32]) -> None:
        """Turn the symbols of rows into places in ``names``, by the server of each account."""
        if len(self.names) > len(CONTRACTS) and len(rows):
            rows["symbol"] = self.codes[server_of[rows["account"]], rows["symbol"]]


class Listings:
    """The listings that have been asked for; servers keep their names for ever."""

    def __init__(self, books: Books) -> None:
        self._books = books
        self._known: dict[bytes, Listing] = {}

    def of(self, servers: npt.NDArray[np.intp]) -> Listing:
        """Return the listing of servers, given by their numbers in ascending order."""
        servers = servers.astype(np.intp)
        known = self._known.get(servers.tobytes())
        if known is None:
            known = self._known[servers.tobytes()] = self._listing(servers)
        return known

    def _listing(self, servers: npt.NDArray[np.intp]) -> Listing:
        place_of: dict[str, int] = {}
        # One column more: -1 finds the last.
        codes = np.full((len(self._books.servers), len(CONTRACTS) + 1), -1, dtype=np.int32)
        for server in servers.tolist():
            naming = self._books.naming[server]
            for symbol in range(len(CONTRACTS)):
                name = naming.listed(symbol)
                codes[server, symbol] = place_of.setdefault(name, len(place_of))
        return Listing(servers, tuple(place_of), codes)
