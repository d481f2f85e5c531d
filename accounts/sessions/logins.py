"""Logging accounts in: the one place where a broker password is opened."""

import logging
from collections.abc import Mapping, Sequence
from uuid import UUID

from django.views.decorators.debug import sensitive_variables

from accounts.models import ApiKey, ConnectedAccount
from accounts.sessions.poll import Attempt, AttemptResult
from accounts.sessions.states import Reason, reason_of_code
from accounts.terminals.registry import Source
from accounts.terminals.simulated.link import LinkError
from accounts.vault.cipher import VaultError

SUCCESS = 1

logger = logging.getLogger(__name__)


@sensitive_variables("credentials", "password")
def log_in(source: Source, attempts: Sequence[Attempt]) -> list[AttemptResult]:
    """Try all `attempts` with one query and one call; one result for each, in any order."""
    results: list[AttemptResult] = []
    accounts = _accounts(attempts)
    asked: list[Attempt] = []
    credentials: list[tuple[int, str, str]] = []
    for attempt in attempts:
        password = _password(accounts.get(attempt.account_id), attempt)
        if isinstance(password, Reason):
            results.append(AttemptResult(attempt, password))
            continue
        asked.append(attempt)
        credentials.append((attempt.login, password, attempt.server))
    if asked:
        results += _authorised(source, asked, credentials)
    return results


@sensitive_variables("credentials")
def _authorised(
    source: Source, asked: Sequence[Attempt], credentials: Sequence[tuple[int, str, str]]
) -> list[AttemptResult]:
    try:
        codes = source.authorise_many(credentials)
    except LinkError as error:
        reason = reason_of_code(error.code)
        message = error.text if reason is Reason.TERMINAL_NOT_FOUND else ""
        return [AttemptResult(attempt, reason, _sentence(message)) for attempt in asked]
    except Exception as error:
        # Neither its text nor its traceback: either may hold what was sent.
        logger.error("Logging in failed with %s.", type(error).__name__)
        return [AttemptResult(attempt, Reason.CONNECT_FAILED) for attempt in asked]
    return [
        AttemptResult(attempt, Reason.NONE if code == SUCCESS else reason_of_code(code))
        for attempt, code in zip(asked, codes, strict=True)
    ]


def _sentence(text: str) -> str:
    """Keep what reads as a sentence; MetaTrader's own short texts mean little to a trader."""
    return text if text.endswith(".") else ""


def _accounts(attempts: Sequence[Attempt]) -> Mapping[UUID, ConnectedAccount]:
    ids = [attempt.account_id for attempt in attempts]
    return ConnectedAccount.objects.active().select_related("api_key").in_bulk(ids)


@sensitive_variables("password")
def _password(account: ConnectedAccount | None, attempt: Attempt) -> str | Reason:
    if account is None or (account.login, account.server) != (attempt.login, attempt.server):
        return Reason.CONNECT_FAILED  # edited or gone meanwhile: the roster follows in a moment
    key = account.api_key
    if key is None or key.status != ApiKey.Status.ACTIVE:
        return Reason.CREDENTIALS_MISSING
    try:
        password = key.secret
    except VaultError:
        return Reason.CREDENTIALS_UNREADABLE
    return Reason.CREDENTIALS_MISSING if password is None else password
