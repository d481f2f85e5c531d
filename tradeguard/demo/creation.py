"""Create the demo desk: accounts at the simulated broker, then everything in the database.

The desk is created once per database. What people change or delete afterwards stays so; only the
broker's side is made good again when its books are new.
"""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from django.db import transaction

from accounts.models import ConnectedAccount, User
from accounts.services.accounts import create_account
from accounts.services.users import register_user
from accounts.terminals.simulated import constants as mt5
from accounts.terminals.simulated.calls import BrokerCalls
from groups.models import AccountGroup
from groups.services import create_group
from risk.models import RiskRule
from risk.services.arming import arm_rule
from risk.services.cutoff import ensure_cutoffs
from risk.services.rules import create_rule
from tradeguard.demo.copying import create_relationships
from tradeguard.demo.credentials import (
    Credential,
    new_password,
    read_credentials,
    write_credentials,
)
from tradeguard.demo.desk import (
    ACCOUNTS,
    GROUPS,
    RULES,
    TRADER,
    USERS,
    DemoAccount,
    DemoRule,
    DemoUser,
)

Accounts = Mapping[str, ConnectedAccount]


def create_desk(*, home: Path, broker: BrokerCalls, now: datetime) -> bool:
    """Create the demo desk; return False when this database has it already."""
    if User.objects.filter(username=TRADER.username).exists():
        restore_at_broker(broker)
        _refresh_credentials(home)
        return False
    passwords = {account.login: new_password() for account in ACCOUNTS}
    for demo in ACCOUNTS:
        open_at_broker(broker, demo, password=passwords[demo.login])
    with transaction.atomic():
        credentials = [Credential(user.username, new_password()) for user in USERS]
        owners = {
            demo.username: _create_user(demo, credential)
            for demo, credential in zip(USERS, credentials, strict=True)
        }
        accounts = {
            demo.name: _create_account(
                demo, owners[demo.owner], password=passwords[demo.login], now=now
            )
            for demo in ACCOUNTS
        }
        groups = {
            demo.name: create_group(
                user=owners[demo.owner],
                name=demo.name,
                description=demo.description,
                accounts=[accounts[name] for name in demo.accounts],
            )
            for demo in GROUPS
        }
        for rule in RULES:
            _create_rule(rule, owners[rule.owner], accounts, groups)
        for username, owner in owners.items():
            own = [accounts[each.name] for each in ACCOUNTS if each.owner == username]
            _confirm_cutoff(owner, own, now=now)
        create_relationships(owners, accounts, now=now)
        # Inside the transaction: passwords that are kept nowhere would lock everybody out.
        write_credentials(home, credentials)
    return True


def restore_at_broker(broker: BrokerCalls) -> None:
    """Open again the demo's accounts that the broker does not know: its books are new."""
    known = {account["login"] for account in broker.accounts()}
    missing = {demo.login: demo for demo in ACCOUNTS if demo.login not in known}
    stored = ConnectedAccount.objects.filter(login__in=missing).select_related("api_key")
    for account in stored:
        password = account.api_key.secret if account.api_key is not None else None
        if password is not None:
            open_at_broker(broker, missing[account.login], password=password)


def open_at_broker(broker: BrokerCalls, demo: DemoAccount, *, password: str) -> None:
    if demo.firm.symbol_suffix:
        broker.create_server(demo.firm.server, suffix=demo.firm.symbol_suffix)
    is_new = broker.create_account(
        demo.login,
        password,
        demo.firm.server,
        demo.name,
        currency=demo.currency,
        leverage=demo.leverage,
        margin_mode=(
            mt5.ACCOUNT_MARGIN_MODE_RETAIL_NETTING
            if demo.is_netting
            else mt5.ACCOUNT_MARGIN_MODE_RETAIL_HEDGING
        ),
        deposit=float(demo.deposit),
        commission_per_lot=demo.commission_per_lot,
        robot=None if demo.robot is None else dict(demo.robot),
    )
    if not is_new:
        # The broker outlived the database that knew the old password.
        broker.change_password(demo.login, password)


def _create_user(demo: DemoUser, credential: Credential) -> User:
    user = register_user(
        username=demo.username,
        email=demo.email,
        password=credential.password or "",
        time_zone=demo.time_zone,
        is_email_verified=True,  # nobody can open a mail to example.com
    )
    if demo.is_staff:
        user.is_staff = user.is_superuser = True
        user.save(update_fields=["is_staff", "is_superuser"])
    return user


def _create_account(
    demo: DemoAccount, owner: User, *, password: str, now: datetime
) -> ConnectedAccount:
    return create_account(
        user=owner,
        name=demo.name,
        broker=demo.firm.broker,
        server=demo.firm.server,
        login=demo.login,
        password=password,
        currency=demo.currency,
        initial_balance=demo.initial_balance,
        is_demo=demo.is_demo,
        day_reset_zone=demo.day_reset_zone,
        tags=demo.tags,
        now=now,
    )


def _create_rule(
    demo: DemoRule, owner: User, accounts: Accounts, groups: Mapping[str, AccountGroup]
) -> None:
    create_rule(
        user=owner,
        name=demo.name,
        rule_type=demo.rule_type,
        limit=demo.limit,
        parameters=demo.parameters,
        action=demo.action,
        is_firm_rule=demo.is_firm_rule,
        accounts=[accounts[name] for name in demo.accounts],
        groups=[groups[name] for name in demo.groups],
    )


def _confirm_cutoff(owner: User, accounts: list[ConnectedAccount], *, now: datetime) -> None:
    """Let the margin cut-off act on these accounts, as its owner would on connecting them."""
    ensure_cutoffs([owner.pk])
    cutoff = RiskRule.objects.get(user=owner, is_cutoff=True)
    arm_rule(rule=cutoff, accounts=accounts, actor=owner, now=now)


def _refresh_credentials(home: Path) -> None:
    """Forget the kept passwords that their users have changed since."""
    kept = read_credentials(home)
    users = {user.username: user for user in User.objects.filter(username__in=_names(kept))}
    current = [
        Credential(credential.username, credential.password)
        if credential.password and users[credential.username].check_password(credential.password)
        else Credential(credential.username, None)
        for credential in kept
        if credential.username in users
    ]
    if current != kept:
        write_credentials(home, current)


def _names(credentials: list[Credential]) -> list[str]:
    return [credential.username for credential in credentials]
