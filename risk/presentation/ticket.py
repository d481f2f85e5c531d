"""What the ticket says while it is typed: the prices, the size, and the gate's answer."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from accounts.figures import age, price
from accounts.models import ConnectedAccount
from accounts.symbol_terms import SymbolTerms
from risk.core.gate.verdicts import GateDecision, Verdict
from risk.gate import preview_order
from risk.gate.sizing import position_size
from risk.models import GateCheck, Order
from risk.order_forms import Prices, TicketForm
from risk.presentation.orders import VERDICT_TONES, CheckRow, check_row, lots

_TITLES = {
    Verdict.ALLOW: "Allowed",
    Verdict.WARN: "Allowed, with a warning",
    Verdict.REDUCE: "Reduced",
    Verdict.BLOCK: "Blocked",
}
_OLD_QUOTE_SECONDS = 4.0


@dataclass(frozen=True, slots=True)
class DecisionView:
    """The gate's answer; `volume` is what it would let pass where that is less than asked for."""

    title: str
    sentence: str
    tone: str
    volume: str
    checks: tuple[CheckRow, ...]


@dataclass(frozen=True, slots=True)
class Quote:
    bid: str
    ask: str
    spread: int
    age: str


@dataclass(frozen=True, slots=True)
class SizeView:
    lots: str
    sentence: str
    is_refused: bool


def ticket_answer(
    account: ConnectedAccount, form: TicketForm, terms: SymbolTerms | None, *, now: datetime
) -> dict[str, Any]:
    """Return the context of the ticket's answer; what is not typed yet is waited for."""
    prices = form.prices(terms)
    symbol = form.cleaned_data.get("symbol")
    return {
        "quote": _quote(terms, now),
        "no_quote": f"Waiting for a price of {symbol}." if symbol else "Choose a symbol.",
        **_size(account, form, terms, prices, now),
        **_decision(account, form, terms, prices, now),
    }


def draft_order(
    account: ConnectedAccount, form: TicketForm, prices: Prices, *, now: datetime
) -> Order:
    """Return the order that the ticket would make; it is not stored."""
    cleaned = form.cleaned_data
    is_market = cleaned["type"] == Order.Type.MARKET
    return Order(
        user_id=account.user_id,
        account_id=account.pk,
        account_name=account.name,
        host=account.terminal_host_id,
        server=account.server,
        login=account.login,
        kind=Order.Kind.OPEN if is_market else Order.Kind.PLACE,
        origin=Order.Origin.TICKET,
        symbol=cleaned["symbol"],
        direction=cleaned["direction"],
        type=cleaned["type"],
        requested_volume=cleaned["volume"],
        volume=cleaned["volume"],
        price=prices.price,
        stop_limit_price=prices.stop_limit_price,
        stop_loss=prices.stop_loss,
        take_profit=prices.take_profit,
        created_at=now,
    )


def decision_view(decision: GateDecision, draft: Order, terms: SymbolTerms | None) -> DecisionView:
    volume = _passing_volume(decision, terms)
    if decision.volume and draft.requested_volume and decision.volume < draft.requested_volume:
        volume = lots(decision.volume)
    title = _TITLES[decision.verdict]
    if decision.verdict is Verdict.REDUCE and volume:
        title = f"Reduced to {volume} lots"
    return DecisionView(
        title=title,
        sentence=decision.sentence,
        tone=VERDICT_TONES[GateCheck.Verdict(decision.verdict)],
        volume=volume,
        checks=tuple(_rows(decision)),
    )


def _passing_volume(decision: GateDecision, terms: SymbolTerms | None) -> str:
    """Return the lots that every check that blocks would let pass, "" when there are none."""
    blocking = [check for check in decision.checks if check.verdict is Verdict.BLOCK]
    allowed = [check.allowed_volume for check in blocking if check.allowed_volume]
    if terms is None or not allowed or len(allowed) < len(blocking):
        return ""
    volume = terms.floored(min(allowed))
    return lots(volume) if volume > 0 else ""


def _decision(
    account: ConnectedAccount,
    form: TicketForm,
    terms: SymbolTerms | None,
    prices: Prices | None,
    now: datetime,
) -> dict[str, Any]:
    needed = ("symbol", "direction", "type", "volume")
    if any(form.cleaned_data.get(name) is None for name in needed):
        return {"waiting": "What the rules say appears when symbol, side and lots are chosen."}
    if set(form.errors) - {"key", "risk_amount", "risk_in"}:
        first = next(iter(form.errors.values()))
        return {"waiting": str(first[0])}
    if prices is None:
        return {"waiting": "Points need the present price, which is not known now."}
    draft = draft_order(account, form, prices, now=now)
    decision = preview_order(account=account, draft=draft, now=now)
    return {"decision": decision_view(decision, draft, terms)}


def _size(
    account: ConnectedAccount,
    form: TicketForm,
    terms: SymbolTerms | None,
    prices: Prices | None,
    now: datetime,
) -> dict[str, Any]:
    risk = form.risk()
    if risk is None:
        return {"size_waiting": "Say how much may be lost, and where the stop loss is."}
    cleaned = form.cleaned_data
    if not cleaned.get("symbol") or not cleaned.get("direction"):
        return {"size_waiting": "Choose the symbol and the side."}
    if terms is None:
        return {"size_waiting": "The terms of the symbol are not known now."}
    if prices is None or prices.stop_loss is None:
        return {"size_waiting": "A size needs a stop loss."}
    size = position_size(
        account=account,
        symbol=cleaned["symbol"],
        direction=cleaned["direction"],
        stop_loss=prices.stop_loss,
        entry_price=form.entry_price(terms),
        now=now,
        risk_fraction=risk.fraction,
        risk_money=risk.money,
    )
    return {"size": SizeView(lots(size.lots), size.sentence, size.is_refused)}


def _quote(terms: SymbolTerms | None, now: datetime) -> Quote | None:
    if terms is None or terms.bid <= 0 or terms.ask <= 0:
        return None
    seconds = max(now.timestamp() - terms.read_at, 0.0)
    return Quote(
        bid=price(terms.bid, terms.digits),
        ask=price(terms.ask, terms.digits),
        spread=round((terms.ask - terms.bid) / terms.point) if terms.point > 0 else 0,
        age=age(seconds) if seconds > _OLD_QUOTE_SECONDS else "",
    )


def _rows(decision: GateDecision) -> list[CheckRow]:
    """List the checks, the worst first, each sentence once: the answer says one of them already."""
    worst_first = (Verdict.BLOCK, Verdict.REDUCE, Verdict.WARN, Verdict.ALLOW)
    listed = sorted(decision.checks, key=lambda check: worst_first.index(check.verdict))
    said = decision.sentence
    return [
        check_row(
            check.rule_name or check.name,
            check.verdict,
            "" if check.sentence == said else check.sentence,
            check.rule_id,
        )
        for check in listed
    ]
