"""What owners of followers hear of copying: each thing once, however often it happens."""

from collections.abc import Iterator

import pytest
from django.db.models import QuerySet

from accounts.models import AccountConnection, ConnectedAccount, User
from accounts.terminals.simulated.faults.specs import FaultKind
from accounts.tests.factories import make_user
from copytrade.models import CopyOrder
from copytrade.notices import news
from copytrade.notices.outages import Outages
from notifications.models import Notification
from notifications.services import notify
from risk.models import RiskRule
from tradeguard.tests.copying_stage import crowd, follows
from tradeguard.tests.enforcement_stage import rule_on, trade
from tradeguard.tests.stage import Stage, staged

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def stage() -> Iterator[Stage]:
    with staged() as stage:
        yield stage


@pytest.fixture
def owner(db: None) -> User:
    return make_user()


def told(user: User, kind: str) -> QuerySet[Notification]:
    return Notification.objects.filter(user=user, type=kind).order_by("created_at", "pk")


def copied(stage: Stage, provider: ConnectedAccount, lots: float) -> None:
    trade(stage, provider, lots)
    stage.run(16)


def test_a_trade_copied_to_many_accounts_is_one_message(stage: Stage, owner: User) -> None:
    other = make_user("other")
    provider = stage.open(owner, "Provider")
    for each in crowd(stage, owner, 3):
        follows(provider, each)
    theirs = stage.open(other, "Theirs")
    follows(provider, theirs, multiplier=2)
    stage.run(3)
    copied(stage, provider, 0.5)
    (mine,) = told(owner, "order_filled")
    assert mine.title == "Provider: open buy 0.5 lots EURUSD: copied to 3 followers"
    assert "Follower 1: 0.5 lots" in mine.body
    assert "Theirs" not in mine.body
    (one,) = told(other, "order_filled")
    assert (one.title.rpartition(" ")[2], one.body) == ("Theirs", "Theirs: 1 lot")
    stage.kill_worker()
    stage.run(16)
    assert Notification.objects.filter(type="order_filled").count() == 2


def test_what_is_skipped_again_and_again_is_told_once(stage: Stage, owner: User) -> None:
    provider = stage.open(owner, "Provider")
    for each in crowd(stage, owner, 2):
        follows(provider, each, multiplier="0.001")
    follows(provider, stage.open(owner, "Choosy"), directions="sell")
    stage.run(3)
    for _ in range(5):
        copied(stage, provider, 0.1)
    assert CopyOrder.objects.filter(reason="below_minimum").count() == 10
    (only,) = told(owner, "copy_skipped")
    assert only.title == "Provider: open buy 0.1 lots EURUSD not copied to 2 followers"
    assert "the smallest of EURUSD is 0.01" in only.body
    assert "another copy" in only.body
    stage.kill_worker()
    copied(stage, provider, 0.1)
    assert told(owner, "copy_skipped").count() == 1


def test_late_opens_after_a_restart_are_one_message(stage: Stage, owner: User) -> None:
    provider = stage.open(owner, "Provider")
    for each in crowd(stage, owner, 2):
        follows(provider, each, open_deadline_seconds=5)
    stage.run(8)
    stage.kill_worker()
    for lots in (0.1, 0.2, 0.3):
        trade(stage, provider, lots)
    stage.clock[0] += 30
    stage.run(40)
    assert CopyOrder.objects.filter(reason="late").count() == 6
    (only,) = told(owner, "copy_skipped")
    assert only.title == "Provider: 3 trades not copied to 2 followers"


def test_what_a_broker_refuses_is_an_error_of_that_owner_alone(stage: Stage, owner: User) -> None:
    other = make_user("other")
    provider = stage.open(owner, "Provider")
    theirs = stage.open(other, "Theirs")
    follows(provider, theirs)
    stage.run(5)
    stage.server.set_fault(theirs.login, FaultKind.REJECT)
    copied(stage, provider, 0.1)
    assert CopyOrder.objects.get().state == "failed"
    (only,) = told(other, "copy_error")
    assert only.priority == "high"
    assert only.title == "Provider: open buy 0.1 lots EURUSD: not copied to Theirs"
    assert only.body == f"Theirs: {CopyOrder.objects.get().sentence}"
    assert not told(owner, "copy_error").exists()
    assert not Notification.objects.filter(type="order_rejected").exists()


def test_what_our_own_gate_holds_back_is_a_skip(stage: Stage, owner: User) -> None:
    provider, follower = stage.open(owner, "Provider"), stage.open(owner, "Strict")
    follows(provider, follower)
    stage.run(3)
    rule_on(follower, RiskRule.Type.MAX_POSITION_SIZE, "0.05", action="BLOCK")
    stage.run(8)
    copied(stage, provider, 0.1)
    assert CopyOrder.objects.get().state == "failed"
    (only,) = told(owner, "copy_skipped")
    assert only.body == CopyOrder.objects.get().sentence
    assert not told(owner, "copy_error").exists()


def test_a_provider_that_stays_away_is_told_once_and_when_it_is_back(
    stage: Stage, owner: User
) -> None:
    other = make_user("other")
    provider = stage.open(owner, "Provider")
    follows(provider, stage.open(other, "Theirs"))
    for each in crowd(stage, owner, 2):
        follows(provider, each)
    outages = Outages("local")
    connection = AccountConnection.objects.filter(account=provider)

    def after(seconds: float, state: str) -> int:
        connection.update(state=state)
        stage.clock[0] += seconds
        messages = outages.messages(stage.now)
        return len(notify(messages, now=stage.now))

    assert after(0, "error") == 0
    assert after(59.9, "connecting") == 0
    assert after(0.2, "error") == 2
    (only,) = told(other, "copy_error")
    assert only.title == "Provider is not connected: Theirs copies nothing from it"
    assert told(owner, "copy_error").get().title.endswith("2 followers copy nothing from it")
    assert after(600, "error") == 0
    Notification.objects.all().delete()
    assert after(600, "error") == 0
    assert after(5, "connected") == 2
    assert after(5, "connected") == 0
    assert after(5, "error") == after(59, "connected") == 0


def test_a_successor_knows_what_was_told_of_an_outage(stage: Stage, owner: User) -> None:
    provider = stage.open(owner, "Provider")
    follows(provider, crowd(stage, owner, 1)[0])
    AccountConnection.objects.filter(account=provider).update(state="error")
    for outages in (Outages("local"), Outages("local")):
        for _ in range(3):
            notify(outages.messages(stage.now), now=stage.now)
            stage.clock[0] += 61
    assert told(owner, "copy_error").count() == 1


def test_after_a_start_it_tells_the_newest_events_alone(
    stage: Stage, owner: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = stage.open(owner, "Provider")
    follows(provider, stage.open(owner, "Follower"))
    stage.run(3)
    for lots in (0.1, 0.2, 0.3):
        copied(stage, provider, lots)
    Notification.objects.all().delete()
    stage.kill_worker()
    monkeypatch.setattr(news, "MOST_RECENT", 2)
    monkeypatch.setattr(news, "_TOLD_TOGETHER", 1)
    stage.run(16)
    titles = told(owner, "order_filled").values_list("title", flat=True)
    assert [title.split()[3] for title in titles] == ["0.2", "0.3"]
