"""Proving on a terminal host that the secret of a key logs its accounts in."""

import time
from collections.abc import Callable, Sequence
from datetime import datetime
from uuid import UUID

from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from accounts.models import ApiKey, ConnectedAccount
from accounts.services.key_verification import LOGIN_SECONDS, LoginProof, note_proofs
from accounts.sessions.logins import Obstacle, authorise, opened_secret
from accounts.sessions.process import terminals_of
from accounts.sessions.states import Reason
from accounts.terminals.registry import NoTerminals, Source

# A login that takes its time is asked after so often.
ASK_AGAIN_SECONDS = 0.5
# A worker takes its host over within so long, unless another one holds it.
HOLD_SECONDS = 5.0


def verify_on_host(
    *, host: str, key_id: UUID, question: int, now: Callable[[], datetime] = timezone.now
) -> list[LoginProof]:
    """Log in to each account of a host that uses a key, and record how it went.

    `question` is the trail row of the request. Returns the proofs, none when no account is left.
    """
    key = ApiKey.objects.filter(pk=key_id).first()
    if key is None:
        return []
    accounts = list(key.accounts.on_host(host).order_by("name", "pk"))
    proofs = _proofs(key, accounts, _terminals(host), now()) if accounts else []
    note_proofs(key_id=key_id, question=question, proofs=proofs, now=now())
    return proofs


def _terminals(host: str) -> Source:
    """Return the terminals of a host, which a worker that has just started does not hold yet."""
    deadline = time.monotonic() + HOLD_SECONDS
    while (source := terminals_of(host)) is None:
        if time.monotonic() >= deadline:
            return NoTerminals()
        time.sleep(ASK_AGAIN_SECONDS)
    return source


@sensitive_variables("secret")
def _proofs(
    key: ApiKey, accounts: Sequence[ConnectedAccount], source: Source, now: datetime
) -> list[LoginProof]:
    secret = opened_secret(key, now)
    if isinstance(secret, Obstacle):
        return [_proof(account, secret.reason, secret.message) for account in accounts]
    deadline = time.monotonic() + LOGIN_SECONDS
    proofs: list[LoginProof] = []
    waiting = list(accounts)
    while waiting:
        answers = authorise(source, [(each.login, secret, each.server) for each in waiting])
        is_late = time.monotonic() >= deadline
        under_way = []
        for account, (reason, message) in zip(waiting, answers, strict=True):
            if reason is not Reason.UNDER_WAY:
                proofs.append(_proof(account, reason, message))
            elif is_late:
                proofs.append(_proof(account, Reason.NO_ANSWER))
            else:
                under_way.append(account)
        waiting = under_way
        if waiting:
            time.sleep(ASK_AGAIN_SECONDS)
    return proofs


def _proof(account: ConnectedAccount, reason: Reason, message: str = "") -> LoginProof:
    return LoginProof(account.pk, account.name, reason, message)
