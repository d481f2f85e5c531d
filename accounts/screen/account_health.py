"""The health of a connection in words: how much of the time, how often, and what went wrong."""

from dataclasses import dataclass
from datetime import datetime

from accounts.facts import age_seconds
from accounts.figures import UNKNOWN, age, amount
from accounts.health import Change, Uptime
from accounts.hot_state import AccountState
from accounts.models import ConnectedAccount
from accounts.selectors import connection_health, last_states

WINDOWS = {"5m": "5 minutes", "1h": "hour", "1d": "day", "1w": "week"}
# Below this share of the wanted time the number is shown as one to worry about.
POOR_FRACTION = 0.95


@dataclass(frozen=True, slots=True)
class UptimeRow:
    window: str
    share: str
    is_poor: bool
    reconnects: int
    failures: int


@dataclass(frozen=True, slots=True)
class HealthPanel:
    uptimes: tuple[UptimeRow, ...]
    errors: tuple[Change, ...]
    age: str
    identity: str


def health_panel(account: ConnectedAccount, *, now: datetime) -> HealthPanel:
    state = last_states([account]).get(account.pk)
    health = connection_health(account, state, now=now)
    seconds = age_seconds(state, now)
    return HealthPanel(
        uptimes=tuple(_row(uptime) for uptime in health.uptimes),
        errors=health.last_errors,
        age="none yet" if seconds is None else age(seconds),
        identity=_identity(state),
    )


def _row(uptime: Uptime) -> UptimeRow:
    fraction = uptime.uptime_fraction
    return UptimeRow(
        window=WINDOWS.get(uptime.window, uptime.window),
        share=UNKNOWN if fraction is None else share(fraction),
        is_poor=fraction is not None and fraction < POOR_FRACTION,
        reconnects=uptime.reconnects,
        failures=uptime.failures,
    )


def share(fraction: float) -> str:
    """Write a share in percent; 100 % is said only of all of the time."""
    percent = fraction * 100.0
    return "100 %" if fraction >= 1.0 else f"{amount(min(percent, 99.9), 1)} %"


def _identity(state: AccountState | None) -> str:
    if state is None:
        return UNKNOWN
    checks, failures = (
        int(state.account[name]) for name in ("identity_checks", "identity_failures")
    )
    return f"{checks:,} passed" if failures == 0 else f"{failures:,} of {checks:,} failed"
