"""The sentence on top of a page: what matters, in words that need no numbers."""

from collections.abc import Sequence
from dataclasses import dataclass

from accounts.screen.cells import CONNECTION_NAMES
from accounts.terminals.readings import STALE_AFTER_SECONDS
from risk.presentation.cells import STATUS_NAMES, RiskObject
from risk.presentation.weakest import weakest_rule


@dataclass(frozen=True, slots=True)
class Headline:
    """`note` tells what can't be seen at the moment; empty when everything is seen."""

    title: str
    sentence: str
    note: str = ""


def page_title(status: str, name: str) -> str:
    """Return the title of a browser tab: "● CRITICAL Alpha – TradeGuard"."""
    mark = "○" if status == "safe" else "●"
    return f"{mark} {STATUS_NAMES.get(status, status).upper()} {name} – TradeGuard"


def group_headline(risk: RiskObject) -> Headline:
    accounts, rules = risk["accounts"], risk["rules"]
    if not accounts:
        return Headline("Nothing to watch", "This group has no accounts yet.")
    if not rules:
        return Headline("No rule applies", "No rule applies to the accounts of this group yet.")
    note = _unseen_note(risk)
    status = risk["status"]
    if status == "safe":
        return Headline("All inside their limits", _safe_sentence(len(accounts)), note)
    if status == "unknown":
        return Headline("Not everything is known", note or "Some figures are not known.")
    name, rule_name = _weakest_names(risk)
    title, sentence = _TROUBLE[status]
    return Headline(title, sentence.format(name=name, rule=rule_name), note)


def account_headline(risk: RiskObject) -> Headline:
    connection = risk["connection"]
    status, rules = risk["status"], risk["rules"]
    note = connection.get("message") or "" if connection["state"] != "connected" else ""
    if not rules:
        return Headline("No rule applies", "No rule watches this account yet.", note)
    if status == "safe":
        return Headline("Inside its limits", "Every rule has room left.", note)
    if status == "unknown":
        unknown = [rule for rule in rules if rule["status"] == "unknown"]
        reason = own_sentence(unknown[0]["message"], risk["name"], "not known, ") if unknown else ""
        title = "The figures are stale" if is_stale(risk) else "Not everything is known"
        return Headline(title, f"{reason or 'There is no fresh reading'}.", note)
    worst = [rule for rule in rules if rule["status"] == status]
    names = _listed([rule.get("name") or "a rule" for rule in worst])
    title, _ = _TROUBLE[status]
    return Headline(title, f"{names}: {_ACCOUNT_WORDS[status]}", note)


def is_stale(risk: RiskObject) -> bool:
    age_seconds = risk.get("reading_age_seconds")
    return age_seconds is None or age_seconds > STALE_AFTER_SECONDS


def own_sentence(message: str, name: str, beginning: str = "") -> str:
    """Leave the account's name, and a beginning, out of a sentence on the account's own page."""
    sentence = message.removeprefix(f"{name}: ").removeprefix(beginning)
    return unbroken(sentence[:1].upper() + sentence[1:])


def unbroken(sentence: str) -> str:
    """Keep a number and its percent sign on one line."""
    return sentence.replace(" %", "\N{NO-BREAK SPACE}%")


_ACCOUNT_WORDS = {
    "violated": "the limit was broken.",
    "critical": "very little is left.",
    "caution": "less is left than you wanted.",
}
_STALE = "Stale: no fresh figures from"
_TROUBLE = {
    "violated": ("Rule violated", "{name} broke “{rule}”."),
    "critical": ("Close to the limit", "{name} is close to breaking “{rule}”."),
    "caution": ("Worth watching", "{name} is using up “{rule}”."),
}


def _weakest_names(risk: RiskObject) -> tuple[str, str]:
    rule = weakest_rule(risk)
    return risk["weakest_account"]["name"], (rule and rule.get("name")) or "a rule"


def _unseen_note(risk: RiskObject) -> str:
    unknown = set(risk["unknown_accounts"])
    names: dict[str, list[str]] = {}
    for account in risk["accounts"]:
        if account["id"] in unknown:
            names.setdefault(_why_unseen(account), []).append(str(account["name"]))
    if len(names.get(_STALE, ())) == len(risk["accounts"]):
        return "All figures are stale: no account has been read in the last seconds."
    return " ".join(f"{why} {_listed(found)}." for why, found in names.items())


def _why_unseen(account: RiskObject) -> str:
    state = account.get("connection") or "connected"
    if state != "connected":
        return f"{CONNECTION_NAMES.get(state, state)}:"
    return _STALE if is_stale(account) else "Some figures are not known of"


def _listed(names: Sequence[str]) -> str:
    if len(names) > 4:
        return f"{', '.join(names[:3])} and {len(names) - 3} more"
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def _safe_sentence(count: int) -> str:
    return "Its account has room left." if count == 1 else f"All {count} accounts have room left."
