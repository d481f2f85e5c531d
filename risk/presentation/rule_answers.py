"""What a rule that is being typed would say right now, account by account."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import Q

from accounts.models import ConnectedAccount, User
from accounts.refusals import Refusal
from accounts.screen.parts import Cell
from risk import dry_run
from risk.core.statuses import Status, status_from_text
from risk.dry_run import RuleAnswer
from risk.forms import RuleForm
from risk.presentation.cells import STATUS_NAMES, bar_cell

# A page that asks again and again is to stay cheap, and nobody reads more lines than this.
MOST_ACCOUNTS = 100
MOST_SHOWN = 5


@dataclass(frozen=True, slots=True)
class AnswerLine:
    answer: RuleAnswer
    status_text: str
    bar: Cell


@dataclass(frozen=True, slots=True)
class RuleAnswers:
    """`lines` begin with the weakest; `note` says why there are none, or what they leave out."""

    lines: tuple[AnswerLine, ...] = ()
    note: str = ""


def rule_answers(user: User, form: RuleForm, *, now: datetime) -> RuleAnswers:
    """Ask what the rule in a form that was checked says of each account it would apply to."""
    if form.stored_limit() is None or "action" not in form.cleaned_data:
        return RuleAnswers(note="Once the rule is complete, this says what it would find now.")
    accounts = list(_targets(user, form)[: MOST_ACCOUNTS + 1])
    if not accounts:
        return RuleAnswers(note="Choose what it applies to, and this says what it would find now.")
    try:
        answers = dry_run.rule_answers(
            user=user, fields=_fields(form), accounts=accounts[:MOST_ACCOUNTS], now=now
        )
    except (ValidationError, Refusal) as error:
        return RuleAnswers(note=_reason(error))
    answers.sort(key=_weakness)
    shown = answers[:MOST_SHOWN]
    lines = [_line(number, each, form.type_name) for number, each in enumerate(shown)]
    return RuleAnswers(tuple(lines), _rest(len(accounts)))


def _targets(user: User, form: RuleForm) -> Any:
    own = ConnectedAccount.objects.owned_by(user).active().order_by("name", "pk")
    cleaned = form.cleaned_data
    if cleaned.get("applies_to_all_accounts"):
        return own
    chosen = Q(pk__in=[each.pk for each in cleaned.get("accounts") or ()])
    chosen |= Q(groups__in=[each.pk for each in cleaned.get("groups") or ()])
    return own.filter(chosen).distinct()


def _fields(form: RuleForm) -> dict[str, Any]:
    targets = ("accounts", "groups", "applies_to_all_accounts")
    fields = {name: value for name, value in form.changes().items() if name not in targets}
    return {**fields, "name": fields.get("name") or "This rule", "rule_type": form.type_name}


def _weakness(answer: RuleAnswer) -> tuple[int, float]:
    buffer = float("inf") if answer.buffer is None else answer.buffer
    return -_status(answer), buffer


def _status(answer: RuleAnswer) -> Status:
    try:
        return status_from_text(answer.status)
    except ValueError:
        return Status.UNKNOWN


def _line(number: int, answer: RuleAnswer, rule_type: str) -> AnswerLine:
    numbers = {
        "rule_type": rule_type,
        "buffer": answer.buffer,
        "left": answer.left,
        "used": answer.used,
        "limit": answer.limit,
        "unit": answer.unit,
        "status": answer.status,
    }
    word = STATUS_NAMES.get(answer.status, answer.status)
    return AnswerLine(answer, word, bar_cell(f"answer-{number}", numbers))


def _rest(count: int) -> str:
    if count > MOST_ACCOUNTS:
        return f"The weakest of the first {MOST_ACCOUNTS} accounts."
    if count > MOST_SHOWN:
        return f"The {MOST_SHOWN} weakest of {count} accounts."
    return ""


def _reason(error: ValidationError | Refusal) -> str:
    if isinstance(error, Refusal):
        return error.sentence
    return " ".join(error.messages)
