"""Exports of MetaTrader 5: tab-separated files of one-minute bars or of ticks."""

import math
import re
from dataclasses import dataclass
from datetime import datetime, time
from pathlib import Path

import numpy as np
import numpy.typing as npt

from .. import constants as mt5
from ..symbols.catalogue import CONTRACT_INDEX, CONTRACTS
from .timeframes import RATES_DTYPE, Bars, bar_times

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
TICK_DTYPE = np.dtype(
    [
        ("time_msc", "<i8"),  # the broker's wall clock written as a UTC epoch
        ("bid", "<f8"),
        ("ask", "<f8"),
        ("last", "<f8"),  # 0 when there was no trade yet
        ("volume", "<i8"),  # lots of the trade that this tick is of, else 0
        ("side", "<i4"),  # TICK_FLAG_BUY, TICK_FLAG_SELL or 0
    ]
)
BAR_HEADER = ("<DATE>", "<TIME>", "<OPEN>", "<HIGH>", "<LOW>", "<CLOSE>", "<TICKVOL>", "<VOL>",
          "<SPREAD>")  # fmt: skip
TICK_HEADER = ("<DATE>", "<TIME>", "<BID>", "<ASK>", "<LAST>", "<VOLUME>", "<FLAGS>")
_FILE_NAME = re.compile(
    r"(?P<symbol>[^_]+(_[A-Za-z]+)??)(?P<minutes>_M1)?(?P<span>_\d+_\d+)?\.csv", re.IGNORECASE
)
_CLOCK_LENGTHS = (len("HH:MM:SS"), len("HH:MM:SS.mmm"))
_Tick = tuple[int, float, float, float, int, int]  # as in TICK_DTYPE
_SIDES = mt5.TICK_FLAG_BUY | mt5.TICK_FLAG_SELL


class ExportError(Exception):
    """A file that is not an export: which file, which line (0: none), what is wrong with it."""

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

    def minute_bars(self) -> Bars:
        """Return the bars as RATES_DTYPE."""
        rates = np.zeros(len(self.bars), dtype=RATES_DTYPE)
        for name in BAR_DTYPE.names or ():
            rates[name] = self.bars[name]
        return rates


@dataclass(frozen=True, slots=True)
class TickExport:
    """The ticks of one symbol, oldest first, every side filled in (TICK_DTYPE)."""

    symbol: str
    point: float
    ticks: npt.NDArray[np.void]

    def minute_bars(self) -> Bars:
        """Return the one-minute bars of the bids as RATES_DTYPE."""
        ticks = self.ticks
        keys = bar_times(ticks["time_msc"] // 1000, mt5.TIMEFRAME_M1)
        starts = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))
        rates = np.zeros(len(starts), dtype=RATES_DTYPE)
        rates["time"], rates["open"] = keys[starts], ticks["bid"][starts]
        rates["close"] = ticks["bid"][np.append(starts[1:], len(ticks)) - 1]
        rates["high"] = np.maximum.reduceat(ticks["bid"], starts)
        rates["low"] = np.minimum.reduceat(ticks["bid"], starts)
        rates["tick_volume"] = np.diff(np.append(starts, len(ticks)))
        least = np.minimum.reduceat(ticks["ask"] - ticks["bid"], starts)
        rates["spread"] = np.rint(least / self.point)
        return rates


Export = BarExport | TickExport


def read_export(path: Path) -> Export:
    """Read an export of bars or ticks; its name tells which, as the terminal writes it.

    Raises ExportError for anything that is not such a file.
    """
    named = _FILE_NAME.fullmatch(path.name)
    if named is None or not (named["minutes"] or named["span"]):
        raise ExportError(
            path, 1, "the name should be like EURUSD_M1_202511030000_202511142359.csv (bars) "
            "or EURUSD_202511030000_202511142359.csv (ticks)"
        )  # fmt: skip
    symbol = contract_name(named["symbol"])
    lines = _text(path).splitlines()
    if named["minutes"]:
        return BarExport(symbol, _bars(path, lines))
    ticks = _ticks(path, lines)
    digits = max(len(cell.partition(".")[2]) for cell in lines[1].split("\t")[2:4])
    contract = CONTRACTS[CONTRACT_INDEX[symbol]] if symbol in CONTRACT_INDEX else None
    return TickExport(symbol, contract.point if contract else 10.0**-digits, ticks)


def contract_name(listed: str) -> str:
    """Return the contract that a file's symbol belongs to: EURUSD for EURUSD.r or EURUSDm.

    A suffix doesn't begin with a capital or a digit. An unknown name stays as it is.
    """
    exact = listed.upper()
    if exact in CONTRACT_INDEX:
        return exact
    for name in sorted(CONTRACT_INDEX, key=len, reverse=True):
        rest = listed[len(name) :]
        if listed.startswith(name) and not (rest[0].isupper() or rest[0].isdigit()):
            return name
    return listed


def read_folder(folder: Path) -> dict[str, Export]:
    """Read every ``*.csv`` of a folder; raises ExportError also when there is none."""
    paths = sorted(folder.glob("*.csv")) if folder.is_dir() else []
    if not paths:
        raise ExportError(
            folder, 0, "there is no folder with exports of bars or ticks (*.csv) here"
        )
    exports: dict[str, Export] = {}
    for path in paths:
        export = read_export(path)
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


def _bars(path: Path, lines: list[str]) -> npt.NDArray[np.void]:
    _check_header(path, lines, BAR_HEADER)
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
    return np.array(rows, dtype=BAR_DTYPE)


def _check_header(path: Path, lines: list[str], header: tuple[str, ...]) -> None:
    if not lines or tuple(lines[0].split("\t")) != header:
        raise ExportError(path, 1, f"the first line should be {' '.join(header)}, tab-separated")


def _bar(path: Path, number: int, line: str) -> tuple[int, float, float, float, float, int, int]:
    cells = line.split("\t")
    if len(cells) != len(BAR_HEADER):
        raise ExportError(path, number, f"{len(BAR_HEADER)} columns expected, found {len(cells)}")
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


def _ticks(path: Path, lines: list[str]) -> npt.NDArray[np.void]:
    _check_header(path, lines, TICK_HEADER)
    rows = []
    days: dict[str, int] = {}
    tick: _Tick = (0, 0.0, 0.0, 0.0, 0, 0)
    for number, line in enumerate(lines[1:], start=2):
        if not line.strip():
            continue
        before = tick
        try:
            tick = _tick(line.split("\t"), before, days)
        except (ValueError, OverflowError) as error:
            raise ExportError(path, number, f"a tick cannot be read ({error})") from error
        time_msc, bid, ask, last, _, _ = tick
        if time_msc < before[0]:
            raise ExportError(path, number, "this tick is earlier than the one before it")
        if not (0 <= bid < math.inf and 0 <= ask < math.inf and 0 <= last < math.inf):
            raise ExportError(path, number, "a price is negative or no number")
        if bid > ask > 0:
            raise ExportError(path, number, "bid ≤ ask does not hold")
        if bid and ask:
            rows.append(tick)
    if not rows:
        raise ExportError(path, len(lines), "there is no tick with a bid and an ask in the file")
    return np.array(rows, dtype=TICK_DTYPE)


def _tick(cells: list[str], before: _Tick, days: dict[str, int]) -> _Tick:
    """Return a line's tick; a side that did not change since the one before is empty."""
    if len(cells) != len(TICK_HEADER):
        raise ValueError(f"{len(TICK_HEADER)} columns expected, found {len(cells)}")
    bid = float(cells[2]) if cells[2] else before[1]
    ask = float(cells[3]) if cells[3] else before[2]
    last = float(cells[4]) if cells[4] else before[3]
    volume, flags = round(float(cells[5] or 0)), int(cells[6] or 0)
    traded = max(1, volume) if flags & mt5.TICK_FLAG_LAST and last else 0
    return _tick_msc(cells[0], cells[1], days), bid, ask, last, traded, flags & _SIDES


def _tick_msc(day: str, clock: str, days: dict[str, int]) -> int:
    """Return a tick's time; ``days`` remembers the days that were read."""
    if day not in days:
        midnight = datetime.strptime(f"{day} +0000", "%Y.%m.%d %z")
        days[day] = int(midnight.timestamp()) * 1000
    if len(clock) not in _CLOCK_LENGTHS:
        raise ValueError(f"{clock} is no time")
    at = time.fromisoformat(clock)
    seconds = (at.hour * 60 + at.minute) * 60 + at.second
    return days[day] + seconds * 1000 + at.microsecond // 1000
