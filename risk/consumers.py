import json
from collections.abc import Iterable
from typing import Any
from uuid import UUID

from channels.db import database_sync_to_async
from django.utils import timezone

from accounts.consumers import compact_json
from accounts.models import ConnectedAccount, User
from accounts.screen.parts import Part
from accounts.streaming import LiveConsumer, RiskObject, freshest_seconds
from groups.models import AccountGroup
from risk.live import account_risk, group_risk, group_summaries
from risk.presentation.accounts import account_parts
from risk.presentation.groups import card_part, group_parts


class GroupConsumer(LiveConsumer):
    """The live risk of one group: `group_risk_update`."""

    kind = "group"
    risk: RiskObject

    async def find(self) -> bool:
        self.group_id: UUID = self.scope["url_route"]["kwargs"]["group_id"]
        return await _own_group_exists(self.user, self.group_id)

    def watched(self) -> Iterable[str]:
        return [str(self.group_id)]

    async def group_risk(self, event: dict[str, Any]) -> None:
        self.risk = json.loads(event["payload"])
        self.noted()

    async def reread(self) -> bool:
        risk = await _read_group(self.user, self.group_id)
        if risk is None:
            return False
        self.risk = risk
        return True

    def seconds_until_stale(self) -> float | None:
        return freshest_seconds(_ages(self.risk))

    def parts(self, elapsed_seconds: float) -> list[Part]:
        return group_parts(_older(self.risk, elapsed_seconds))

    async def send_json(self) -> None:
        update = {"type": "group_risk_update", "data": self.risk}
        await self.send(text_data=compact_json(update))


class GroupListConsumer(LiveConsumer):
    """The cards of all groups of a user; for the pages."""

    kind = "group"

    async def find(self) -> bool:
        self.risks: dict[str, RiskObject] = await _read_groups(self.user)
        return True

    def watched(self) -> Iterable[str]:
        return list(self.risks)

    async def group_risk(self, event: dict[str, Any]) -> None:
        risk = json.loads(event["payload"])
        self.risks[risk["group_id"]] = risk
        self.noted()

    async def reread(self) -> bool:
        self.risks = await _read_groups(self.user)
        return True

    def seconds_until_stale(self) -> float | None:
        return freshest_seconds(age for risk in self.risks.values() for age in _ages(risk))

    def parts(self, elapsed_seconds: float) -> list[Part]:
        return [card_part(_older(risk, elapsed_seconds)) for risk in self.risks.values()]

    async def send_json(self) -> None:
        for risk in self.risks.values():
            update = {"type": "group_risk_update", "data": risk}
            await self.send(text_data=compact_json(update))


class AccountConsumer(LiveConsumer):
    """One account: `account_update` with its figures, `rule_update` when its rules changed."""

    kind = "account"
    risk: RiskObject

    async def find(self) -> bool:
        self.account_id: UUID = self.scope["url_route"]["kwargs"]["account_id"]
        self._told_rules: tuple[Any, ...] | None = None
        return await _own_account_exists(self.user, self.account_id)

    def watched(self) -> Iterable[str]:
        return [str(self.account_id)]

    async def account_live(self, event: dict[str, Any]) -> None:
        self.risk = json.loads(event["payload"])
        self.noted()

    async def reread(self) -> bool:
        risk = await _read_account(self.user, self.account_id)
        if risk is None:
            return False
        self.risk = risk
        return True

    def seconds_until_stale(self) -> float | None:
        return freshest_seconds([self.risk.get("reading_age_seconds")])

    def parts(self, elapsed_seconds: float) -> list[Part]:
        return account_parts(_aged(self.risk, elapsed_seconds), now=timezone.now())

    async def send_json(self) -> None:
        risk = self.risk
        data = {name: value for name, value in risk.items() if name != "rules"}
        await self.send(text_data=compact_json({"type": "account_update", "data": data}))
        rules = (risk["status"], risk["buffer"], risk["rules"])
        if rules == self._told_rules:
            return
        self._told_rules = rules
        names = ("account_id", "status", "buffer", "rules", "sequence")
        update = {"type": "rule_update", "data": {name: risk[name] for name in names}}
        await self.send(text_data=compact_json(update))


def _ages(risk: RiskObject) -> list[float | None]:
    return [account["reading_age_seconds"] for account in risk["accounts"]]


def _older(risk: RiskObject, seconds: float) -> RiskObject:
    return {**risk, "accounts": [_aged(account, seconds) for account in risk["accounts"]]}


def _aged(item: RiskObject, seconds: float) -> RiskObject:
    age = item["reading_age_seconds"]
    return item if age is None else {**item, "reading_age_seconds": age + seconds}


@database_sync_to_async
def _own_group_exists(user: User, group_id: UUID) -> bool:
    return AccountGroup.objects.owned_by(user).filter(pk=group_id).exists()


@database_sync_to_async
def _own_account_exists(user: User, account_id: UUID) -> bool:
    return ConnectedAccount.objects.owned_by(user).filter(pk=account_id).exists()


@database_sync_to_async
def _read_group(user: User, group_id: UUID) -> RiskObject | None:
    group = AccountGroup.objects.owned_by(user).filter(pk=group_id).first()
    return None if group is None else group_risk(group, now=timezone.now())


@database_sync_to_async
def _read_groups(user: User) -> dict[str, RiskObject]:
    summaries = group_summaries(user, now=timezone.now())
    return {str(summary.group.pk): summary.risk for summary in summaries}


@database_sync_to_async
def _read_account(user: User, account_id: UUID) -> RiskObject | None:
    account = ConnectedAccount.objects.owned_by(user).filter(pk=account_id).first()
    return None if account is None else account_risk(account, now=timezone.now())
