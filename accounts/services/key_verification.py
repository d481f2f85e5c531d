"""Verifying a key: does its secret open, and does the broker take it?

The web process opens the secret; the workers of the hosts log in to each account that uses the key.
A trail row says that it was asked for; its number goes with the messages, so that an answer to an
earlier question is not taken for the latest.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet
from django.utils.text import get_text_list
from django.views.decorators.debug import sensitive_variables

from accounts.models import ApiKey, ApiKeyAuditLog
from accounts.origin import SYSTEM, Origin
from accounts.refusals import Refusal
from accounts.services.key_trail import (
    LONGEST_MESSAGE,
    Action,
    Operation,
    Outcome,
    keep,
    refusals_kept,
)
from accounts.services.keys import why_unusable
from accounts.sessions.states import Reason
from accounts.task_messages import TaskMessage, enqueue
from accounts.vault.cipher import VaultError

# A login may take so long; the answer has to arrive before it is given up.
LOGIN_SECONDS = 45.0
# A worker that has not answered by then is not there.
ANSWER_SECONDS = 60.0
# More logins than these, and a broker may lock the account.
MOST_PER_MINUTE = 5
ASKED = "asked"
NO_ACCOUNT = "The secret opens; no account uses this key, so no login was tried."
_NAMES_SHOWN = 3

Verification = ApiKey.Verification


@dataclass(frozen=True, slots=True)
class LoginProof:
    """How the login to one account ended; Reason.NONE is success."""

    account_id: UUID
    account_name: str
    reason: Reason
    message: str = ""

    @property
    def sentence(self) -> str:
        return self.message or self.reason.sentence


@refusals_kept()
def request_verification(*, key: ApiKey, origin: Origin, now: datetime) -> ApiKey:
    """Open the secret of a key and have its accounts logged in; return the key, mostly pending.

    The result comes into `verification`, `verification_message` and `verified_at`. Raises Refusal
    for a key that may not be used, while a verification is under way, and for too many of them.
    """
    operation = Operation(key, Action.VERIFIED, now, origin)
    outcome = Outcome.ALLOWED
    try:
        with transaction.atomic():
            key = operation.key = ApiKey.objects.select_for_update().get(pk=key.pk)
            _refuse_unusable(key, now)
            _refuse_too_many(key, now)
            accounts = list(key.accounts.order_by("name", "pk"))
            if not _opens(key):
                outcome = Outcome.FAILED
                operation.reason = Reason.CREDENTIALS_UNREADABLE
                operation.message = Reason.CREDENTIALS_UNREADABLE.sentence
                _write_result(key, Verification.FAILED, operation.message, now)
            elif not accounts:
                operation.message = NO_ACCOUNT
                _write_result(key, Verification.SUCCEEDED, NO_ACCOUNT, now)
            else:
                operation.reason = ASKED
                names = [account.name for account in accounts]
                operation.message = f"A login was asked for: {_listed(names)}."
                _write_result(key, Verification.PENDING, "", None)
            row = operation.row(outcome)
            row.save(force_insert=True)
            if key.verification == Verification.PENDING:
                hosts = {account.terminal_host_id for account in accounts}
                transaction.on_commit(lambda: _send(key, hosts, row.pk), robust=True)
    except Refusal as refusal:
        operation.reason, operation.message = refusal.code, refusal.sentence
        keep(operation.row(Outcome.REFUSED))
        raise
    return key


def note_proofs(
    *, key_id: UUID, question: int, proofs: Sequence[LoginProof], now: datetime
) -> None:
    """Record how logins ended that a verification asked for, and sum them up on the key.

    `question` is the trail row of the request. The first login that fails decides; it succeeded
    when every account that uses the key was logged in.
    """
    with transaction.atomic():
        key = ApiKey.objects.select_for_update().defer("secret").filter(pk=key_id).first()
        if key is None:
            return
        ApiKeyAuditLog.objects.bulk_create([_proof_row(key, proof, now) for proof in proofs])
        if key.verification != Verification.PENDING or _latest_question(key) != question:
            return
        failed = next((proof for proof in proofs if proof.reason is not Reason.NONE), None)
        if failed is not None:
            message = f"{failed.account_name}: {failed.sentence}"
            _write_result(key, Verification.FAILED, message, now)
            return
        proven = _proven_since(key, question)
        accounts = dict(key.accounts.order_by("name", "pk").values_list("pk", "name"))
        if proven.issuperset(accounts):
            message = f"The broker takes it: {_listed(list(accounts.values()))}."
            _write_result(key, Verification.SUCCEEDED, message if accounts else NO_ACCOUNT, now)


def close_overdue_verifications(*, now: datetime) -> int:
    """Mark verifications that no worker has answered in time as failed; return how many."""
    closed = 0
    for found in ApiKey.objects.filter(verification=Verification.PENDING).only("pk"):
        with transaction.atomic():
            key = ApiKey.objects.select_for_update().defer("secret").get(pk=found.pk)
            asked_at = _questions(key).values_list("created_at", flat=True).first()
            is_overdue = asked_at is None or now - asked_at >= timedelta(seconds=ANSWER_SECONDS)
            if key.verification != Verification.PENDING or not is_overdue:
                continue
            hosts = key.accounts.order_by("terminal_host_id").values_list(
                "terminal_host_id", flat=True
            )
            names = get_text_list(list(hosts.distinct()), "and")
            message = f"The terminal host ({names}) did not answer within a minute: is it running?"
            _write_result(key, Verification.FAILED, message, now)
            operation = Operation(key, Action.VERIFIED, now, message=message)
            operation.reason = Reason.NO_ANSWER
            operation.row(Outcome.FAILED).save(force_insert=True)
            closed += 1
    return closed


@sensitive_variables("secret")
def _opens(key: ApiKey) -> bool:
    try:
        secret = key.secret
    except VaultError:
        return False
    return secret is not None


def _refuse_unusable(key: ApiKey, now: datetime) -> None:
    if not key.is_usable(now):
        raise Refusal(why_unusable(key, now), code=key.status_at(now))


def _refuse_too_many(key: ApiKey, now: datetime) -> None:
    latest = _questions(key).values_list("created_at", flat=True)
    if key.verification == Verification.PENDING:
        asked_at = latest.first()
        if asked_at is not None and now - asked_at < timedelta(seconds=ANSWER_SECONDS):
            raise Refusal("It is being verified already; the answer is on its way.", code="pending")
    since = now - timedelta(minutes=1)
    recent = list(latest.filter(created_at__gt=since)[:MOST_PER_MINUTE])
    if len(recent) >= MOST_PER_MINUTE:
        raise Refusal(
            f"It was verified {MOST_PER_MINUTE} times within a minute; brokers lock accounts that"
            " are tried too often. Wait a minute.",
            code="throttled",
            wait_seconds=(recent[-1] - since).total_seconds(),
        )


def _questions(key: ApiKey) -> QuerySet[ApiKeyAuditLog]:
    return ApiKeyAuditLog.objects.filter(
        key_id=key.pk, action=Action.VERIFIED, outcome=Outcome.ALLOWED, reason=ASKED
    )


def _latest_question(key: ApiKey) -> int | None:
    return _questions(key).values_list("pk", flat=True).first()


def _proven_since(key: ApiKey, question: int) -> set[UUID | None]:
    rows = ApiKeyAuditLog.objects.filter(
        key_id=key.pk, pk__gt=question, action=Action.VERIFIED, outcome=Outcome.ALLOWED
    )
    return set(rows.values_list("account_id", flat=True))


def _proof_row(key: ApiKey, proof: LoginProof, now: datetime) -> ApiKeyAuditLog:
    message = f"{proof.account_name}: {proof.sentence or 'The broker took the login.'}"
    operation = Operation(key, Action.VERIFIED, now, SYSTEM, proof.account_id, message)
    operation.reason = proof.reason
    return operation.row(Outcome.ALLOWED if proof.reason is Reason.NONE else Outcome.FAILED)


def _write_result(key: ApiKey, result: str, message: str, at: datetime | None) -> None:
    """Write how it stands; `updated_at` stays, because nothing of the key was edited."""
    key.verification = result
    key.verification_message, key.verified_at = message[:LONGEST_MESSAGE], at
    ApiKey.objects.filter(pk=key.pk).update(
        verification=result, verification_message=key.verification_message, verified_at=at
    )


def _send(key: ApiKey, hosts: Iterable[str], question: int) -> None:
    for host in sorted(hosts):
        enqueue(
            TaskMessage(
                "accounts.verify_key",
                [host, str(key.pk), question],
                f"terminals.{host}",
                ANSWER_SECONDS,
            )
        )


def _listed(names: list[str]) -> str:
    shown = names[:_NAMES_SHOWN]
    if len(names) > _NAMES_SHOWN:
        shown.append(f"{len(names) - _NAMES_SHOWN} more")
    return get_text_list(shown, "and")
