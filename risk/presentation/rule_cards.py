"""The list of rules: each as a card with the account that is nearest to breaking it."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from accounts.models import ConnectedAccount, User
from accounts.screen.parts import Cell, short
from risk.core.rule_types import ARMED_ACTIONS, OBJECTIVES, RuleType
from risk.live import load_members
from risk.live_objects.members import Member, Row, by_weakness
from risk.models import RiskRule, RuleBreach
from risk.presentation.cells import STATUS_NAMES, bar_cell
from risk.presentation.rules import stored_sentence
from risk.selectors import rules_of
from risk.services.cutoff import CutoffTerms, terms_of

OFF = "none"
_FEARED = [kind.value for kind in RuleType]


@dataclass(frozen=True, slots=True)
class RuleNow:
    """The accounts that a rule reaches at this moment; `worst` is nearest to breaking it."""

    members: tuple[Member, ...] = ()
    worst: Row | None = None

    @property
    def status(self) -> str:
        return self.worst.status.text if self.worst is not None else OFF

    @property
    def watching_ids(self) -> set[UUID]:
        """Return the accounts that may not trade: nothing can be closed on them."""
        return {
            member.id
            for member in self.members
            if member.reading is not None and not member.reading["trade_allowed"]
        }


@dataclass(frozen=True, slots=True)
class ActionBadge:
    """What a rule does, and whether it may: `tone` is armed, partly, disarmed, idle or plain."""

    text: str
    note: str = ""
    tone: str = "plain"


@dataclass(frozen=True, slots=True)
class RuleCard:
    """`breaches` are those in force now."""

    rule: RiskRule
    sentence: str
    badge: ActionBadge
    breaches: tuple[RuleBreach, ...] = ()
    differing: int = 0
    now: RuleNow = field(default_factory=RuleNow)

    @property
    def targets(self) -> list[tuple[str, str]]:
        """Return (icon, name) of what the rule applies to."""
        if self.rule.applies_to_all_accounts:
            return [("accounts", "all accounts")]
        return [
            *(("groups", group.name) for group in self.rule.groups.all()),
            *(("accounts", account.name) for account in self.rule.accounts.all()),
        ]

    @property
    def is_objective(self) -> bool:
        return self.rule.rule_type in OBJECTIVES

    @property
    def cutoff(self) -> CutoffTerms | None:
        return terms_of(self.rule) if self.rule.is_cutoff else None

    @property
    def state(self) -> str:
        """Return the status by which the list is filtered; a violation in force outweighs all."""
        if any(not breach.is_early or breach.violated_at for breach in self.breaches):
            return "violated"
        return self.now.status if self.rule.is_active else "off"

    @property
    def cells(self) -> dict[str, Cell]:
        cells = (*now_cells(self.rule, self.now), badge_cell(self.rule, self.badge))
        return {cell.id.split("-", 1)[1]: cell for cell in cells}


def rule_cards(user: User, *, now: datetime) -> list[RuleCard]:
    """Return the user's rules as cards, the cut-off first, in a constant number of queries."""
    rules = list(rules_of(user))
    latched: dict[UUID, list[RuleBreach]] = defaultdict(list)
    for breach in RuleBreach.objects.owned_by(user).latched():
        latched[breach.rule_id].append(breach)
    found = rules_now(user, now=now)
    cards = [
        RuleCard(
            rule,
            stored_sentence(rule),
            action_badge(rule, found.get(rule.pk, RuleNow()), _armed_ids(rule)),
            tuple(latched[rule.pk]),
            len(rule.overrides.all()),
            found.get(rule.pk, RuleNow()),
        )
        for rule in rules
    ]
    return sorted(cards, key=_place)


def _armed_ids(rule: RiskRule) -> list[UUID]:
    return [arming.account_id for arming in rule.armings.all()]


def _place(card: RuleCard) -> tuple[bool, bool, int, str]:
    """Order by what traders fear most; the cut-off stands first, what is switched off last."""
    rule = card.rule
    return not rule.is_cutoff, not rule.is_active, _FEARED.index(rule.rule_type), rule.name


def rules_now(user: User, *, now: datetime) -> dict[UUID, RuleNow]:
    """Return where each active rule stands, from the hot state."""
    accounts = list(ConnectedAccount.objects.owned_by(user).active())
    rows: dict[UUID, list[Row]] = defaultdict(list)
    for member in load_members(accounts, now=now).values():
        for row in member.rows:
            rows[row.rule.id].append(row)
    return {
        rule_id: RuleNow(tuple(row.member for row in found), min(found, key=by_weakness))
        for rule_id, found in rows.items()
    }


def action_badge(rule: RiskRule, now: RuleNow, armed: Iterable[UUID]) -> ActionBadge:
    text = rule.get_action_display()
    if rule.action not in ARMED_ACTIONS:
        return ActionBadge(text)
    watching = now.watching_ids
    able = {member.id for member in now.members} - watching
    if watching and not able:
        return ActionBadge(text, "watching only", "idle")
    count = len(able & set(armed))
    if not able:
        return ActionBadge(text, "reaches no account", "idle")
    if not count:
        return ActionBadge(text, "not armed yet", "disarmed")
    if count < len(able):
        return ActionBadge(text, f"armed on {count} of {len(able)}", "partly")
    return ActionBadge(text, "armed", "armed")


def badge_cell(rule: RiskRule, badge: ActionBadge) -> Cell:
    return Cell(f"r{short(rule.pk)}-badge", (badge.text, badge.note), badge.tone)


def now_cells(rule: RiskRule, now: RuleNow) -> tuple[Cell, ...]:
    """Return what changes every second on a card: its frame, status, weakest account and bar."""
    id_ = f"r{short(rule.pk)}"
    if now.worst is None:
        return _idle_cells(id_, rule)
    full = now.worst.full()
    status = str(full["status"])
    return (
        Cell(f"{id_}-frame", (), status),
        Cell(f"{id_}-status", (STATUS_NAMES[status],), status),
        Cell(f"{id_}-who", (_weakest_text(now),)),
        bar_cell(f"{id_}-bar", full),
        Cell(f"{id_}-say", (str(full["message"]),)),
    )


def _idle_cells(id_: str, rule: RiskRule) -> tuple[Cell, ...]:
    word, why = ("Switched off", "It watches nothing.")
    if rule.is_active:
        word, why = ("Nothing to watch", "It reaches no active account.")
    return (
        Cell(f"{id_}-frame", (), OFF),
        Cell(f"{id_}-status", (word,), OFF),
        Cell(f"{id_}-who", (why,)),
        Cell(f"{id_}-bar", ("", ""), OFF, 0.0, has_bar=True),
        Cell(f"{id_}-say", ("",)),
    )


def _weakest_text(now: RuleNow) -> str:
    name = now.worst.member.name if now.worst is not None else ""
    others = len(now.members) - 1
    return f"{name}, the weakest of {others + 1}" if others else name


def live_cells(user: User, *, now: datetime) -> list[Cell]:
    """Return the cells of all the user's rules, for the page that asks every second."""
    found = rules_now(user, now=now)
    rules = RiskRule.objects.owned_by(user).only("pk", "is_active", "action")
    cells: list[Cell] = []
    for rule in rules.prefetch_related("armings"):
        now_there = found.get(rule.pk, RuleNow())
        cells += now_cells(rule, now_there)
        cells.append(badge_cell(rule, action_badge(rule, now_there, _armed_ids(rule))))
    return cells


def narrowed(cards: Sequence[RuleCard], wanted: Mapping[str, str]) -> list[RuleCard]:
    """Return the cards that the filters leave."""
    return [card for card in cards if _is_wanted(card, wanted)]


def _is_wanted(card: RuleCard, wanted: Mapping[str, str]) -> bool:
    rule, account, group = card.rule, wanted.get("account"), wanted.get("group")
    if wanted.get("type") and rule.rule_type != wanted["type"]:
        return False
    if account and not _reaches(card, account):
        return False
    if group and group not in {str(each.pk) for each in rule.groups.all()}:
        return False
    state = wanted.get("state")
    if state == "disarmed":
        return card.badge.tone in ("disarmed", "partly")
    return not state or card.state == state


def _reaches(card: RuleCard, account_id: str) -> bool:
    named = {str(each.pk) for each in card.rule.accounts.all()}
    return account_id in named | {member.key for member in card.now.members}
