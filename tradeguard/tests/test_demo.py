from collections.abc import Iterator
from datetime import UTC, datetime
from io import StringIO
from itertools import pairwise
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.test import override_settings

from accounts.models import ConnectedAccount, User
from accounts.services.accounts import delete_account
from accounts.terminals.simulated.server import TradeServer
from accounts.terminals.simulated.service.process import BrokerService
from accounts.tests.simulated_desk import Desk
from copytrade.models import CopyRelationship
from groups.models import AccountGroup, Membership
from risk.models import RiskRule, RuleArming
from tradeguard.demo.creation import create_desk, open_at_broker
from tradeguard.demo.credentials import FILE_NAME, Credential, read_credentials
from tradeguard.demo.crowd import create_crowd
from tradeguard.demo.desk import ACCOUNTS

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
STEP_SECONDS = 0.1


class Clock:
    def __init__(self) -> None:
        self.seconds = NOW.timestamp()

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def broker() -> TradeServer:
    return TradeServer(clock=Clock(), feed=False)


def can_log_in(broker: TradeServer, account: ConnectedAccount) -> bool:
    password = account.api_key.secret if account.api_key is not None else None
    assert password is not None
    return broker.authorise_many([(account.login, password, account.server)]) == [1]


@pytest.mark.django_db
def test_it_creates_a_desk_of_several_people(broker: TradeServer, tmp_path: Path) -> None:
    assert create_desk(home=tmp_path, broker=broker, now=NOW)
    owned = {
        user.username: (user.connected_accounts.count(), user.account_groups.count())
        for user in User.objects.all()
    }
    assert owned == {"maya": (16, 3), "jonas": (3, 1), "staff": (0, 0)}
    assert User.objects.get(username="staff").is_superuser
    assert Membership.objects.filter(account__name="Alpha 4").count() == 2
    assert len(set(RiskRule.objects.values_list("rule_type", flat=True))) >= 11
    armed = RuleArming.objects.filter(rule__is_cutoff=True)
    assert armed.count() == ConnectedAccount.objects.count() == RuleArming.objects.count()
    assert all(can_log_in(broker, account) for account in ConnectedAccount.objects.all())


@pytest.mark.django_db
def test_it_creates_copying_of_every_kind(broker: TradeServer, tmp_path: Path) -> None:
    create_desk(home=tmp_path, broker=broker, now=NOW)
    states = {
        row.follower.name: row.state for row in CopyRelationship.objects.select_related("follower")
    }
    assert states == {
        "Mirror Ratio": "active",
        "Mirror Fixed": "active",
        "Mirror Contra": "active",
        "Mirror Netting": "active",
        "Nordwind Hedge": "active",
        "Meridian Scalp": "paused",
        "Bluewater Macro": "offered",
    }
    offer = CopyRelationship.objects.get(state="offered")
    assert (offer.provider.user.username, offer.follower.user.username) == ("jonas", "maya")


@pytest.mark.django_db
def test_it_creates_a_desk_once_and_leaves_changes_alone(
    broker: TradeServer, tmp_path: Path
) -> None:
    create_desk(home=tmp_path, broker=broker, now=NOW)
    delete_account(account=ConnectedAccount.objects.get(name="Meridian Scalp"))
    assert not create_desk(home=tmp_path, broker=broker, now=NOW)
    assert ConnectedAccount.objects.count() == 18
    assert (AccountGroup.objects.count(), User.objects.count()) == (4, 3)


@pytest.mark.django_db
def test_it_opens_the_accounts_again_at_a_broker_with_new_books(
    broker: TradeServer, tmp_path: Path
) -> None:
    create_desk(home=tmp_path, broker=broker, now=NOW)
    fresh = TradeServer(clock=Clock(), feed=False)
    create_desk(home=tmp_path, broker=fresh, now=NOW)
    assert all(can_log_in(fresh, account) for account in ConnectedAccount.objects.all())


@pytest.mark.django_db
def test_a_new_database_gets_into_the_accounts_of_an_old_broker(
    broker: TradeServer, tmp_path: Path
) -> None:
    create_desk(home=tmp_path, broker=broker, now=NOW)
    User.objects.all().delete()
    create_desk(home=tmp_path, broker=broker, now=NOW)
    assert all(can_log_in(broker, account) for account in ConnectedAccount.objects.all())


@pytest.mark.django_db
def test_it_keeps_the_passwords_for_its_owner_alone(broker: TradeServer, tmp_path: Path) -> None:
    create_desk(home=tmp_path, broker=broker, now=NOW)
    assert (tmp_path / FILE_NAME).stat().st_mode & 0o777 == 0o600
    kept = {credential.username: credential.password for credential in read_credentials(tmp_path)}
    maya = User.objects.get(username="maya")
    assert maya.check_password(kept["maya"] or "")
    maya.set_password("a password of her own")
    maya.save(update_fields=["password"])
    create_desk(home=tmp_path, broker=broker, now=NOW)
    assert read_credentials(tmp_path)[0] == Credential("maya", None)
    assert str(read_credentials(tmp_path)[0]) == "maya / the password that you chose"


@pytest.mark.parametrize("seed", [1, 2])
def test_alpha_3_uses_up_its_daily_loss_in_three_minutes_and_the_others_do_not(seed: int) -> None:
    clock = Clock()
    broker = TradeServer(clock=clock, speed=60.0, seed=seed, always_open=True)
    for demo in ACCOUNTS:
        open_at_broker(broker, demo, password="x" * 12)
    lost_fractions = []
    for _ in range(180):
        for _ in range(round(1 / STEP_SECONDS)):
            clock.seconds += STEP_SECONDS
            broker.step()
        equity = {account["name"]: account["equity"] for account in broker.accounts()}
        lost_fractions.append((98_120 - equity["Alpha 3"]) / 5_000)
        for demo in ACCOUNTS:
            assert demo.name == "Alpha 3" or demo.deposit - equity[demo.name] < 0.04 * demo.initial
    assert any(0.7 <= lost < 0.9 for lost in lost_fractions), "it passes through caution"
    assert any(0.9 <= lost < 1.0 for lost in lost_fractions), "it passes through critical"
    assert lost_fractions[20] < 0.7
    assert lost_fractions[-1] > 1.0


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_whoever_looks_at_the_copies_soon_sees_one(seed: int) -> None:
    [lead] = [demo for demo in ACCOUNTS if demo.name == "Lead Signals"]
    assert lead.robot is not None
    desk = Desk(feed=True, speed=60.0, seed=seed)
    desk.open_account(1001, deposit=lead.deposit, robot=dict(lead.robot))
    moments = [desk.clock.now]
    for _ in range(1800):
        desk.clock.now += STEP_SECONDS
        desk.server.step()
        opened = [deal for deal in desk.deals(1001) if deal["entry"] == 0 and deal["volume"] > 0]
        if len(opened) >= len(moments):
            moments.append(desk.clock.now)
    assert max(after - before for before, after in pairwise(moments)) < 20


@pytest.mark.django_db
def test_a_crowd_grows_to_the_number_asked_for(broker: TradeServer, alice: User) -> None:
    assert create_crowd(user=alice, broker=broker, count=7, now=NOW) == 7
    assert create_crowd(user=alice, broker=broker, count=12, now=NOW) == 5
    assert create_crowd(user=alice, broker=broker, count=12, now=NOW) == 0
    assert alice.connected_accounts.count() == 12
    assert alice.account_groups.count() == 3
    assert alice.risk_rules.count() == 8
    assert can_log_in(broker, alice.connected_accounts.latest("login"))


@pytest.fixture
def broker_home(broker: TradeServer, tmp_path: Path) -> Iterator[Path]:
    service = BrokerService(broker, tmp_path / "broker")
    (tmp_path / "broker").mkdir()
    service.start()
    yield tmp_path / "broker"
    service.stop()


@pytest.mark.django_db
def test_the_command_tells_how_to_sign_in(broker_home: Path) -> None:
    out = StringIO()
    with override_settings(SIMULATED_BROKER_HOME=broker_home, HOME=broker_home.parent):
        call_command("create_demo", stdout=out)
        call_command("create_demo", "--quiet", stdout=out)
        maya = read_credentials(settings.HOME)[0]
    lines = out.getvalue().splitlines()
    assert lines[0] == "The demo desk is created."
    assert lines[1] == f"Sign in as maya / {maya.password}"
    assert lines[-1] == "The demo desk is there."


@pytest.mark.django_db
def test_the_command_needs_the_broker(tmp_path: Path) -> None:
    with (
        override_settings(SIMULATED_BROKER_HOME=tmp_path, HOME=tmp_path),
        pytest.raises(CommandError, match="The simulated broker does not answer"),
    ):
        call_command("create_demo")
    assert not User.objects.exists()
