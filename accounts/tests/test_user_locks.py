"""Whoever holds a user must not hold up the tick, which writes rows that point at users.

On PostgreSQL such a row waits for a lock that includes the key, until whoever has it commits.
"""

import re
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from accounts.services.profile import ask_for_email, set_email, update_profile
from accounts.tests.factories import NOW

_LOCK = re.compile(r"\bUser\.objects(?:\.\w+\([^()]*\))*?\.select_for_update\(([^()]*)\)")
_APPS = ("accounts", "notifications", "groups", "risk", "copytrade", "tradeguard")


def _user_locks() -> dict[str, str]:
    """Give the arguments of each lock on users by where it stands."""
    root = Path(settings.BASE_DIR)
    return {
        f"{path.relative_to(root)}:{found.start()}": found[1]
        for app in _APPS
        for path in sorted((root / app).rglob("*.py"))
        if "tests" not in path.parts
        for found in _LOCK.finditer(path.read_text())
    }


def test_users_are_locked_without_their_keys() -> None:
    locks = _user_locks()

    assert len(locks) > 5
    assert [where for where, given in locks.items() if "no_key=True" not in given] == []


@pytest.mark.skipif(connection.vendor != "postgresql", reason="Only PostgreSQL locks rows.")
def test_a_changed_profile_lets_others_point_at_the_user(alice: User) -> None:
    with (
        CaptureQueriesContext(
            connection,
        ) as asked,
        transaction.atomic(),
    ):
        update_profile(user=alice, first_name="A", last_name="B", time_zone="UTC", now=NOW)
        set_email(user=alice, email="other@example.com")
        ask_for_email(user=alice, email="third@example.com")

    locks = [each["sql"] for each in asked if " FOR " in each["sql"]]
    assert len(locks) >= 3
    assert all("FOR NO KEY UPDATE" in sql for sql in locks if "accounts_user" in sql)
