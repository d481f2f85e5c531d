"""Bar exports of MetaTrader 5: a tab-separated file of one-minute bars."""

import math
import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt

BAR_DTYPE = np.dtype(
    [
        ("time", "<i8"),  # the broker's wall clock written as a UTC epoch
        ("open", "<f8"),
        ("high", "<f8"),
        ("low", "<f8"),
        ("close", "<f8"),
        ("tick_volume", "<i8"),
        ("spread", "<i4"),  # points
    ]
)
HEADER = ("<DATE>", "<TIME>", "<OPEN>", "<HIGH>", "<LOW>", "<CLOSE>", "<TICKVOL>", "<VOL>",
          "<SPREAD>")  # fmt: skip
_FILE_NAME = re.compile(r"(?P<symbol>[A-Za-z]{6})[^_]*_M1(_\d+_\d+)?\.csv", re.IGNORECASE)


class ExportError(Exception):
    """A file that is not a bar export: which file, which line (0: none), what is wrong with it."""

    def __init__(self, path: Path, line: int, reason: str) -> None:
        place = f"{path.name}, line {line}" if line else path.name
        super().__init__(f"{place}: {reason}")
        self.path = path
        self.line = line
        self.reason = reason


@dataclass(frozen=True, slots=True)
class BarExport:
    """The bars of one symbol, oldest first (BAR_DTYPE)."""

    symbol: str
    bars: npt.NDArray[np.void]


def read_bars(path: Path) -> BarExport:
    """Read a bar export; its symbol is taken from the name, as the terminal writes it.

    Raises ExportError for anything that is not such a file.
    """
    named = _FILE_NAME.fullmatch(path.name)
    if named is None:
        raise ExportError(
            path, 1, "the name should be like EURUSD_M1_202511030000_202511142359.csv"
        )
    lines = _text(path).splitlines()
    if not lines or tuple(lines[0].split("\t")) != HEADER:
        raise ExportError(path, 1, f"the first line should be {' '.join(HEADER)}, tab-separated")
    rows = []
    previous = 0
    for number, line in enumerate(lines[1:], start=2):
        if not line.strip():
            continue
        bar = _bar(path, number, line)
        if bar[0] <= previous:
            raise ExportError(path, number, "this bar is not later than the one before it")
        previous = bar[0]
        rows.append(bar)
    if not rows:
        raise ExportError(path, len(lines), "there is no bar in the file")
    return BarExport(named["symbol"].upper(), np.array(rows, dtype=BAR_DTYPE))


def read_folder(folder: Path) -> dict[str, BarExport]:
    """Read every ``*.csv`` of a folder; raises ExportError also when there is none."""
    paths = sorted(folder.glob("*.csv")) if folder.is_dir() else []
    if not paths:
        raise ExportError(folder, 0, "there is no folder with bar exports (*.csv) here")
    exports: dict[str, BarExport] = {}
    for path in paths:
        export = read_bars(path)
        if export.symbol in exports:
            raise ExportError(path, 1, f"there is another file for {export.symbol} beside it")
        exports[export.symbol] = export
    return exports


def _text(path: Path) -> str:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise ExportError(path, 0, f"the file cannot be read ({error.strerror})") from error
    encoding = "utf-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError as error:
        raise ExportError(path, 1, "this is not a text file") from error


def _bar(path: Path, number: int, line: str) -> tuple[int, float, float, float, float, int, int]:
    cells = line.split("\t")
    if len(cells) != len(HEADER):
        raise ExportError(path, number, f"{len(HEADER)} columns expected, found {len(cells)}")
    try:
        moment = datetime.strptime(f"{cells[0]} {cells[1]} +0000", "%Y.%m.%d %H:%M:%S %z")
        opened, high, low, close = (float(cell) for cell in cells[2:6])
        tick_volume, spread = int(cells[6]), int(cells[8])
    except ValueError as error:
        raise ExportError(path, number, f"a date or number cannot be read ({error})") from error
    body_low, body_high = min(opened, close), max(opened, close)
    if not 0 < low <= body_low <= body_high <= high < math.inf or spread < 0:
        raise ExportError(path, number, "low ≤ open, close ≤ high does not hold")
    return int(moment.timestamp()), opened, high, low, close, tick_volume, spread
