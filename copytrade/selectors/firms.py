"""What prop firms say on copying, for the accounts that seem to be theirs."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from uuid import UUID

from accounts.models import ConnectedAccount
from risk.models import RiskRule
from risk.presets.catalogue import Preset, firm_presets
from risk.selectors import rules_by_account


@dataclass(frozen=True, slots=True, kw_only=True)
class FirmSentence:
    """What the firm of an account says on copying, as of the day on which that was checked."""

    account_id: UUID
    account_name: str
    firm: str
    sentence: str
    source: str
    checked_on: date | None
    advice: str


def firm_sentences(accounts: Sequence[ConnectedAccount]) -> list[FirmSentence]:
    """Return what the firms of these accounts say, each firm's sentence once per account.

    An account is a firm's when it keeps the rules of one of its programs, or when its broker or its
    server carries the firm's name. A constant number of queries.
    """
    rules = rules_by_account(list(accounts))
    found: dict[tuple[UUID, str, str], FirmSentence] = {}
    for account in accounts:
        for program in _programs_of(account, rules[account.pk]):
            key = (account.pk, program.firm, program.copying)
            found.setdefault(key, _sentence(account, program))
    return list(found.values())


def _programs_of(account: ConnectedAccount, rules: Iterable[RiskRule]) -> list[Preset]:
    """Return the programs that the account keeps the rules of, else all of the firm it names."""
    kept = {rule.name for rule in rules if rule.is_firm_rule}
    programs = [
        program
        for program in firm_presets()
        if program.copying and any(terms.name in kept for _, terms in program.rules)
    ]
    if programs:
        return programs
    names = (account.broker, account.server)
    return [
        program
        for program in firm_presets()
        if program.copying and any(_pattern(program.firm).search(name) for name in names)
    ]


@lru_cache(maxsize=64)
def _pattern(firm: str) -> re.Pattern[str]:
    """Match a firm's name at the start of a word: "Purple8" is not E8, "E8Markets-Live" is."""
    words = r"[\W_]*".join(re.escape(word) for word in firm.split())
    return re.compile(rf"(?<![A-Za-z0-9]){words}", re.IGNORECASE)


def _sentence(account: ConnectedAccount, program: Preset) -> FirmSentence:
    return FirmSentence(
        account_id=account.pk,
        account_name=account.name,
        firm=program.firm,
        sentence=program.copying,
        source=program.source,
        checked_on=program.checked_on,
        advice=program.advice,
    )
