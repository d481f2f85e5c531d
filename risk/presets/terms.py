"""What a rule says without its targets: as presets and templates keep it."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Any, Final, TypeVar

from risk.core.parameters import ParameterErrors, RuleParameters, parse_parameters
from risk.core.rule_types import Action, ClosingOrder, RuleType, allowed_actions
from risk.models import RiskRule

Choice = TypeVar("Choice", bound=StrEnum)

MOST_RULES: Final = 50
_LONGEST_NAME: Final = 64
_FRACTIONS: Final = {
    "caution": (Decimal(0), Decimal("0.999")),
    "critical": (Decimal(0), Decimal("0.999")),
    "act_at_fraction": (Decimal("0.5"), Decimal(1)),
    "act_after_seconds": (Decimal(0), Decimal(86_400)),
    "close_fraction": (Decimal("0.01"), Decimal(1)),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleTerms:
    """A rule without its user and targets; the fields are those of RiskRule."""

    name: str
    rule_type: RuleType
    limit: Decimal
    parameters: Mapping[str, object] = field(default_factory=dict)
    action: Action = Action.ALERT
    caution: Decimal = Decimal("0.300")
    critical: Decimal = Decimal("0.100")
    magic: int | None = None
    act_at_fraction: Decimal = Decimal("1.000")
    act_after_seconds: Decimal = Decimal("0.0")
    closing_order: ClosingOrder = ClosingOrder.LARGEST_LOSS_FIRST
    losers_only: bool = False
    close_fraction: Decimal = Decimal("1.000")
    is_firm_rule: bool = False

    @property
    def parsed(self) -> RuleParameters:
        return parse_parameters(
            self.rule_type,
            self.limit,
            {
                **self.parameters,
                "caution": self.caution,
                "critical": self.critical,
                "magic": self.magic,
            },
        )

    @property
    def needs_several_accounts(self) -> bool:
        return self.rule_type is RuleType.NO_CROSS_HEDGING

    def fields(self) -> dict[str, Any]:
        """Return them as create_rule takes them."""
        return {**asdict(self), "parameters": dict(self.parameters)}


class TermsError(ValueError):
    """A stored rule makes no sense; the text is a sentence that names it."""


TERM_NAMES: Final = tuple(each.name for each in fields(RuleTerms))


def terms_of_rule(rule: RiskRule) -> RuleTerms:
    """Take the terms of a rule that exists; raises TermsError when it was stored wrong."""
    return read_terms({name: getattr(rule, name) for name in TERM_NAMES})


def written(terms: RuleTerms) -> dict[str, Any]:
    """Return the terms as JSON that `read_terms` understands."""
    return {
        name: str(value) if isinstance(value, Decimal | StrEnum) else value
        for name, value in terms.fields().items()
    }


def read_all_terms(raw: object) -> list[RuleTerms]:
    """Read a list of rules; raises TermsError with the number of the one that is wrong."""
    if not isinstance(raw, list | tuple):
        raise TermsError("Give a list of rules.")
    if len(raw) > MOST_RULES:
        raise TermsError(f"At most {MOST_RULES} rules are possible.")
    found = []
    for number, each in enumerate(raw, 1):
        try:
            found.append(read_terms(each))
        except TermsError as error:
            raise TermsError(f"Rule {number}: {error}") from error
    names = [terms.name for terms in found]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise TermsError(f"Two rules are called “{twice}”.")
    return found


def read_terms(raw: object) -> RuleTerms:
    """Read one rule from JSON or a row's values; raises TermsError with a sentence."""
    if not isinstance(raw, Mapping):
        raise TermsError("a rule is an object of names and values.")
    unknown = [str(name) for name in raw if name not in TERM_NAMES]
    if unknown:
        raise TermsError(f"a rule has no field “{unknown[0]}”.")
    given = {name: value for name, value in raw.items() if value is not None}
    parameters = given.get("parameters", {})
    if not isinstance(parameters, Mapping):
        raise TermsError("parameters: give an object of names and values.")
    rule_type = _choice(given, "rule_type", RuleType, None)
    terms = RuleTerms(
        name=_name(given),
        rule_type=rule_type,
        limit=_number(given, "limit", None),
        parameters=dict(parameters),
        action=_choice(given, "action", Action, Action.ALERT),
        closing_order=_choice(
            given, "closing_order", ClosingOrder, ClosingOrder.LARGEST_LOSS_FIRST
        ),
        magic=given.get("magic"),
        losers_only=_flag(given, "losers_only"),
        is_firm_rule=_flag(given, "is_firm_rule"),
        **_fractions(given),
    )
    _check(terms)
    return terms


def _check(terms: RuleTerms) -> None:
    own = {"limit", "caution", "critical", "magic"} & terms.parameters.keys()
    if own:
        raise TermsError(f"{terms.name}: {min(own)} belongs to the rule itself.")
    try:
        terms.parsed  # noqa: B018  # reads and so checks them
    except ParameterErrors as errors:
        raise TermsError(f"{terms.name}: {errors}") from errors
    if terms.action not in allowed_actions(terms.rule_type):
        raise TermsError(f"{terms.name}: {action_sentence(terms.rule_type)}")


def action_sentence(rule_type: RuleType) -> str:
    """Say which actions a rule of this type may have."""
    possible = allowed_actions(rule_type)
    label = str(RiskRule.Type(rule_type.value).label).lower()
    names = [RiskRule.Action(action.value).label for action in possible]
    if len(names) == 1:
        return f"A rule “{label}” can only alert."
    return f"A rule “{label}” can do one of these: {', '.join(names)}."


def _name(given: Mapping[str, object]) -> str:
    name = given.get("name", "")
    if not isinstance(name, str) or not 0 < len(name.strip()) <= _LONGEST_NAME:
        raise TermsError(f"name: give one of 1 to {_LONGEST_NAME} characters.")
    if not name.isprintable():
        raise TermsError("name: it is one line of printable characters.")
    return name.strip()


def _choice(
    given: Mapping[str, object], name: str, choices: type[Choice], default: Choice | None
) -> Choice:
    value = given.get(name, default)
    try:
        return choices(str(value))
    except ValueError:
        names = ", ".join(choice.value for choice in choices)
        raise TermsError(f"{name}: choose one of {names}.") from None


def _flag(given: Mapping[str, object], name: str) -> bool:
    value = given.get(name, False)
    if not isinstance(value, bool):
        raise TermsError(f"{name}: choose true or false.")
    return value


def _fractions(given: Mapping[str, object]) -> dict[str, Any]:
    found = {}
    for name in _FRACTIONS.keys() & given.keys():
        lowest, highest = _FRACTIONS[name]
        number = _number(given, name, None)
        if not lowest <= number <= highest:
            raise TermsError(f"{name}: give a number from {lowest} to {highest}.")
        found[name] = number
    return found


def _number(given: Mapping[str, object], name: str, default: Decimal | None) -> Decimal:
    value = given.get(name, default)
    if isinstance(value, str | int | float | Decimal) and not isinstance(value, bool):
        try:
            number = Decimal(str(value))
        except InvalidOperation:
            number = Decimal("NaN")
        if number.is_finite():
            return number
    raise TermsError(f"{name}: give a number.")


def written_all(terms: Iterable[RuleTerms]) -> list[dict[str, Any]]:
    return [written(each) for each in terms]
