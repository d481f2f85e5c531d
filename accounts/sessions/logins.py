"""Logging accounts in: the one place where a worker opens a broker password."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import DatabaseError
from django.views.decorators.debug import sensitive_variables

from accounts.models import ApiKey, ConnectedAccount
from accounts.services.key_uses import KeyUse, record_uses
from accounts.services.keys import why_unusable
from accounts.sessions.poll import Attempt, AttemptResult
from accounts.sessions.states import Reason, reason_of_code
from accounts.terminals.link import LinkError
from accounts.terminals.processes.seats import LoginAnswer
from accounts.terminals.registry import Source
from accounts.vault.cipher import VaultError

SUCCESS = 1

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why a secret is not to be had."""

    reason: Reason
    message: str = ""


@sensitive_variables("credentials", "opened")
def log_in(source: Source, attempts: Sequence[Attempt], now: datetime) -> list[AttemptResult]:
    """Try all `attempts` with one query and one call; one result for each, in any order.

    What was done with the keys is counted and recorded.
    """
    results: list[AttemptResult] = []
    accounts = _accounts(attempts)
    asked: list[Attempt] = []
    credentials: list[tuple[int, str, str]] = []
    for attempt in attempts:
        opened = _password(accounts.get(attempt.account_id), attempt, now)
        if isinstance(opened, Obstacle):
            results.append(AttemptResult(attempt, opened.reason, opened.message))
            continue
        asked.append(attempt)
        credentials.append((attempt.login, opened, attempt.server))
    answers = authorise(source, credentials)
    results += [
        AttemptResult(attempt, reason, message)
        for attempt, (reason, message) in zip(asked, answers, strict=True)
    ]
    _record(results, accounts, now)
    return results


@sensitive_variables("credentials")
def authorise(
    source: Source, credentials: Sequence[tuple[int, str, str]]
) -> list[tuple[Reason, str]]:
    """Log in with each (login, password, server); Reason.NONE for success, and what is known more.

    Raises nothing: a source that fails is a reason for all of them.
    """
    if not credentials:
        return []
    try:
        codes = source.authorise_many(credentials)
    except LinkError as error:
        reason = reason_of_code(error.code)
        message = error.text if reason is Reason.TERMINAL_NOT_FOUND else ""
        return [(reason, _sentence(message))] * len(credentials)
    except Exception as error:
        # Neither its text nor its traceback: either may hold what was sent.
        logger.error("Logging in failed with %s.", type(error).__name__)
        return [(Reason.CONNECT_FAILED, "")] * len(credentials)
    return [(Reason.NONE, "") if code == SUCCESS else _failure(code) for code in codes]


def _failure(code: int) -> tuple[Reason, str]:
    """Return the reason of a code, and the sentence that a host of real terminals adds to some."""
    sentence = code.sentence if isinstance(code, LoginAnswer) else ""
    return reason_of_code(int(code)), _sentence(sentence)


@sensitive_variables("secret")
def opened_secret(key: ApiKey, now: datetime) -> str | Obstacle:
    """Return the secret of a key that may be used now, or why there is none."""
    if not key.is_usable(now):
        return Obstacle(Reason.CREDENTIALS_MISSING, why_unusable(key, now))
    try:
        secret = key.secret
    except VaultError:
        return Obstacle(Reason.CREDENTIALS_UNREADABLE)
    return Obstacle(Reason.CREDENTIALS_MISSING) if secret is None else secret


def _sentence(text: str) -> str:
    """Keep what reads as a sentence; MetaTrader's own short texts mean little to a trader."""
    return text if text.endswith(".") else ""


def _accounts(attempts: Sequence[Attempt]) -> Mapping[UUID, ConnectedAccount]:
    ids = [attempt.account_id for attempt in attempts]
    return ConnectedAccount.objects.active().select_related("api_key").in_bulk(ids)


@sensitive_variables("password")
def _password(account: ConnectedAccount | None, attempt: Attempt, now: datetime) -> str | Obstacle:
    if account is None or not _is_of(attempt, account):
        return Obstacle(Reason.CONNECT_FAILED)  # the roster follows in a moment
    if account.api_key is None:
        return Obstacle(Reason.CREDENTIALS_MISSING)
    return opened_secret(account.api_key, now)


def _is_of(attempt: Attempt, account: ConnectedAccount) -> bool:
    """Tell whether an account is still the one that was to be logged in."""
    return (account.login, account.server) == (attempt.login, attempt.server)


def _record(
    results: Sequence[AttemptResult], accounts: Mapping[UUID, ConnectedAccount], now: datetime
) -> None:
    uses = []
    for result in results:
        account = accounts.get(result.attempt.account_id)
        if account is None or account.api_key is None or result.reason is Reason.UNDER_WAY:
            continue
        if _is_of(result.attempt, account):
            uses.append(_use(account, account.api_key, result, now))
    try:
        record_uses(uses=uses, now=now)
    except DatabaseError as error:
        # The accounts are logged in all the same.
        logger.warning("The use of %d keys could not be recorded: %s", len(uses), error)


def _use(account: ConnectedAccount, key: ApiKey, result: AttemptResult, now: datetime) -> KeyUse:
    is_refused = result.reason is Reason.CREDENTIALS_MISSING
    return KeyUse(
        key=key,
        account_id=account.pk,
        account_name=account.name,
        reason=key.status_at(now) if is_refused else result.reason.value,
        message=result.message or result.reason.sentence,
        is_refused=is_refused,
    )
