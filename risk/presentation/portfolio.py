"""The risk of accounts taken together, as the portfolio page shows it."""

from collections.abc import Sequence
from dataclasses import dataclass

from accounts.figures import UNKNOWN, amount, signed
from risk.portfolio_exposures import Exposure
from risk.portfolio_figures import PortfolioFigures, PortfolioRisk

# Coefficients are coloured in steps; the number stands in each cell as well.
_STEPS = 4
# A table of more columns nobody reads; of a thousand accounts it would have a million cells.
MOST_COMPARED = 40


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure; `reason` says why it is not known or means nothing."""

    name: str
    text: str
    unit: str = ""
    tone: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ExposureRow:
    """`share` is how long its bar is, in percent of the largest one."""

    name: str
    side: str
    net: str
    gross: str
    of_value: str
    share: float


@dataclass(frozen=True, slots=True)
class Coefficient:
    """One cell of a matrix; `level` runs from -4, opposite, over 0 to 4, alike; None: unknown."""

    text: str
    level: int | None
    is_self: bool


@dataclass(frozen=True, slots=True)
class MatrixRow:
    number: int
    name: str
    cells: tuple[Coefficient, ...]


@dataclass(frozen=True, slots=True)
class Matrix:
    title: str
    note: str
    names: tuple[str, ...]
    rows: tuple[MatrixRow, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class CurrencyView:
    """The figures of the accounts of one currency, and what they hold."""

    currency: str
    accounts: int
    figures: tuple[Figure, ...]
    symbols: tuple[ExposureRow, ...]
    symbols_reason: str
    currencies: tuple[ExposureRow, ...]
    currencies_reason: str


@dataclass(frozen=True, slots=True)
class PortfolioView:
    currencies: tuple[CurrencyView, ...]
    matrices: tuple[Matrix, ...]
    note: str
    unknown_count: int

    @property
    def is_arriving(self) -> bool:
        """Whether what the hosts were asked for, the terms of symbols, is not there yet."""
        return not self.unknown_count and any(
            each.symbols_reason or each.currencies_reason for each in self.currencies
        )


def portfolio_view(risk: PortfolioRisk) -> PortfolioView:
    accounts, symbols = risk.account_correlations, risk.symbol_correlations
    return PortfolioView(
        currencies=tuple(_currency_view(figures) for figures in risk.by_currency),
        matrices=(
            _matrix("Accounts that move alike", accounts.names, accounts.matrix, accounts.reason),
            _matrix("Symbols that move alike", symbols.symbols, symbols.matrix, symbols.reason),
        ),
        note=risk.reasons.get("total", ""),
        unknown_count=len(risk.unknown_accounts),
    )


def _currency_view(told: PortfolioFigures) -> CurrencyView:
    return CurrencyView(
        currency=told.currency,
        accounts=told.accounts,
        figures=tuple(_figures(told)),
        symbols=_exposures(told.exposure_by_symbol),
        symbols_reason=told.reasons.get("exposure_by_symbol", ""),
        currencies=_exposures(told.exposure_by_currency or ()),
        currencies_reason=told.reasons.get("exposure_by_currency", ""),
    )


def _figures(told: PortfolioFigures) -> list[Figure]:
    def money(name: str, label: str, *, is_result: bool = False) -> Figure:
        value = getattr(told, name)
        text = signed(value) if is_result else amount(value)
        tone = _tone(value) if is_result else ""
        return Figure(label, text, told.currency, tone, _reason(told, name))

    def plain(name: str, label: str, unit: str, digits: int = 1) -> Figure:
        value = getattr(told, name)
        return Figure(label, amount(value, digits), unit, "", _reason(told, name))

    return [
        money("account_value", "Value"),
        money("balance", "Balance"),
        money("cash", "Cash"),
        money("buying_power", "Buying power"),
        money("daily_pl", "Result today", is_result=True),
        _percent(told, "daily_pl_percent", "Today, of the balance"),
        money("total_unrealized_pl", "Floating", is_result=True),
        _percent(told, "total_unrealized_pl_percent", "Floating, of the balance"),
        plain("number_of_positions", "Positions", "", 0),
        money("total_position_value", "Value of the positions"),
        plain("leverage", "Leverage in use", "×", 2),
        plain("margin_level", "Margin level", "%", 0),
        plain("max_drawdown_percent", "Deepest drawdown", "%"),
        money("value_at_risk", "Value at risk, one day"),
        plain("value_at_risk_percent", "The same, of the value", "%", 2),
        money("expected_shortfall", "Expected shortfall"),
    ]


def _percent(told: PortfolioFigures, name: str, label: str) -> Figure:
    value = getattr(told, name)
    return Figure(label, signed(value), "%", _tone(value), _reason(told, name))


def _reason(told: PortfolioFigures, name: str) -> str:
    return told.reasons.get(name, "")


def _tone(value: float | None) -> str:
    return "none" if not value else "gain" if value > 0 else "loss"


def _exposures(listed: Sequence[Exposure]) -> tuple[ExposureRow, ...]:
    largest = max((each.gross for each in listed), default=0.0) or 1.0
    return tuple(
        ExposureRow(
            name=each.name,
            side="buy" if each.net > 0 else "sell" if each.net < 0 else "",
            net=signed(each.net, 0),
            gross=amount(each.gross, 0),
            of_value=UNKNOWN if each.of_value is None else f"{amount(each.of_value * 100, 0)} %",
            share=round(abs(each.net) / largest * 100, 1),
        )
        for each in sorted(listed, key=lambda each: -abs(each.net))
    )


def _matrix(
    title: str,
    names: Sequence[str],
    matrix: Sequence[Sequence[float | None]] | None,
    reason: str,
) -> Matrix:
    if matrix is None or len(names) < 2:
        few = "It takes two of them to compare." if len(names) < 2 else ""
        return Matrix(title, "", (), (), reason or few)
    if len(names) > MOST_COMPARED:
        too_many = f"That is {len(names)} of them. Choose a group of up to {MOST_COMPARED}."
        return Matrix(title, "", (), (), too_many)
    if all(value is None for row, line in enumerate(matrix) for value in line[:row]):
        return Matrix(title, "", (), (), reason or "Too few days are known of any two of them.")
    rows = tuple(
        MatrixRow(
            number=place + 1,
            name=names[place],
            cells=tuple(
                _coefficient(value, is_self=place == column) for column, value in enumerate(values)
            ),
        )
        for place, values in enumerate(matrix)
    )
    unknown = sum(cell.level is None for row in rows for cell in row.cells)
    note = "A dash: too few days are known of both." if unknown else ""
    return Matrix(title, note, tuple(names), rows, reason)


def _coefficient(value: float | None, *, is_self: bool) -> Coefficient:
    if value is None:
        return Coefficient(UNKNOWN, None, is_self)
    text = f"{value:+.2f}".replace("-", "\N{MINUS SIGN}")
    return Coefficient(text, round(value * _STEPS), is_self)
