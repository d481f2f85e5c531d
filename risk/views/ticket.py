"""The order ticket: what the gate says while it is typed, one order per ticket, and its end."""

from collections.abc import Callable
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from django_htmx.http import trigger_client_event

from accounts.market_terms import symbols_of, terms_of
from accounts.models import ConnectedAccount, User
from accounts.refusals import Refusal
from accounts.symbol_terms import SymbolTerms
from accounts.views.lookups import own_account, signed_in
from accounts.views.modals import is_htmx, is_modal, render_framed
from risk.models import Order
from risk.order_forms import KeyedForm, TicketForm
from risk.presentation.ticket import ticket_answer
from risk.services.orders import await_outcome, place_order
from risk.views.orders import order_context, own_order, own_orders

_AGAIN = (
    "symbol",
    "direction",
    "type",
    "price",
    "stop_limit_price",
    "stop_loss",
    "take_profit",
    "deviation_points",
    "valid_until_at",
)
ANSWER_WAIT_SECONDS = 0.25
SEND_WAIT_SECONDS = 1.0
OUTCOME_WAIT_SECONDS = 2.0


@login_required
@require_http_methods(["GET", "POST"])
def order_ticket(request: HttpRequest, account_id: UUID) -> HttpResponse:
    account = own_account(request, account_id)
    user = signed_in(request)
    if request.method == "POST":
        form = TicketForm(request.POST)
        if form.is_valid():
            answer = send_once(request, account, form, lambda: _place(account, user, form))
            if answer is not None:
                return answer
    else:
        form = TicketForm(initial=_initial(request, account))
    return render_framed(request, "risk/ticket.html", {"account": account, "form": form})


@login_required
@require_POST
def answer(request: HttpRequest, account_id: UUID) -> HttpResponse:
    """Say what the order that is being typed would meet: its prices, its size, every check."""
    account = own_account(request, account_id)
    form = TicketForm(request.POST)
    form.is_valid()
    terms = _terms(account, form, wait_seconds=ANSWER_WAIT_SECONDS)
    context = ticket_answer(account, form, terms, now=timezone.now())
    return render(request, "risk/ticket_answer.html", {"account": account, **context})


@login_required
@require_safe
def ticket_symbols(request: HttpRequest, account_id: UUID) -> HttpResponse:
    account = own_account(request, account_id)
    # Nobody waits here: the page asks again until the host has told them.
    names = symbols_of(
        account.server, host=account.terminal_host_id, login=account.login, wait_seconds=0.0
    )
    return render(request, "risk/ticket_symbols.html", {"account": account, "names": names})


@login_required
@require_safe
def order_outcome(request: HttpRequest, account_id: UUID, order_id: UUID) -> HttpResponse:
    """Show what became of an order, for the page that waits for it."""
    account = own_account(request, account_id)
    order = own_order(account, order_id)
    answer = render(request, "risk/parts/order_outcome.html", order_context(account, order))
    if order.state in Order.UNFINISHED:
        return answer
    return trigger_client_event(answer, "orders-changed", after="settle")


def send_once(
    request: HttpRequest,
    account: ConnectedAccount,
    form: KeyedForm,
    send: Callable[[], Order],
) -> HttpResponse | None:
    """Send what a form asks for, unless it was sent already, and show what became of it.

    None when the form has something to correct.
    """
    key = form.cleaned_data["key"]
    order = _sent_with(account, key)
    if order is None:
        try:
            order = send()
        except (ValidationError, Refusal) as error:
            order = _sent_with(account, key)
            if order is None:
                form.take_error(error)
                return None
    order = await_outcome(order, timeout_seconds=OUTCOME_WAIT_SECONDS)
    if not is_htmx(request):
        return redirect("account-order", account.pk, order.pk)
    page = {**order_context(account, order), "is_modal": is_modal(request)}
    return trigger_client_event(
        render_framed(request, "risk/order.html", page), "orders-changed", after="settle"
    )


def _sent_with(account: ConnectedAccount, key: str) -> Order | None:
    return own_orders(account).filter(idempotency_key=key).first()


def _place(account: ConnectedAccount, user: User, form: TicketForm) -> Order:
    cleaned = form.cleaned_data
    terms = _terms(account, form, wait_seconds=SEND_WAIT_SECONDS)
    prices = form.prices(terms)
    if prices is None:
        raise ValidationError(
            {"stops_in": "The present price is not known, so points cannot be turned into prices."}
        )
    return place_order(
        account=account,
        user=user,
        origin=Order.Origin.TICKET,
        symbol=cleaned["symbol"],
        direction=cleaned["direction"],
        type=cleaned["type"],
        volume=cleaned["volume"],
        price=prices.price,
        stop_limit_price=prices.stop_limit_price,
        stop_loss=prices.stop_loss,
        take_profit=prices.take_profit,
        deviation_points=cleaned["deviation_points"],
        valid_until_at=cleaned["valid_until_at"],
        idempotency_key=cleaned["key"],
        terms=terms,
        now=timezone.now(),
    )


def _terms(
    account: ConnectedAccount, form: TicketForm, *, wait_seconds: float
) -> SymbolTerms | None:
    symbol = form.cleaned_data.get("symbol")
    if not symbol:
        return None
    return terms_of(
        account.server,
        symbol,
        account.terminal_host_id,
        login=account.login,
        wait_seconds=wait_seconds,
    )


def _initial(request: HttpRequest, account: ConnectedAccount) -> dict[str, object]:
    """Begin with an order that is to be tried again, or with what the address names."""
    try:
        again = UUID(request.GET.get("again", ""))
    except ValueError:
        return {name: request.GET[name] for name in ("symbol", "direction") if name in request.GET}
    order = own_orders(account).filter(pk=again).first()
    if order is None:
        return {}
    volume = order.requested_volume
    return {
        **{name: getattr(order, name) for name in _AGAIN},
        "volume": f"{volume.normalize():f}" if volume is not None else None,
    }
