from collections.abc import Callable

import pytest
from django.core.management import call_command
from django.db import IntegrityError, connection, migrations, models, transaction
from django.db.migrations.state import ProjectState
from django.db.models import F
from django.test.utils import isolate_apps

from accounts.ledgers import AppendOnly
from accounts.models import ApiKeyAuditLog
from accounts.tests.factories import NOW

TABLE = "accounts_apikeyauditlog"


def make_entry(**fields: object) -> ApiKeyAuditLog:
    return ApiKeyAuditLog.objects.create(
        **{
            "key_id": "0b9fbd0c-3a76-4c8b-9a7e-5d2f5b5f6d11",
            "key_name": "A broker login",
            "user_id": 1,
            "action": ApiKeyAuditLog.Action.CREATED,
            "outcome": ApiKeyAuditLog.Outcome.ALLOWED,
            "created_at": NOW,
            **fields,
        }
    )


def run(sql: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql)


def save(entry: ApiKeyAuditLog) -> None:
    entry.message = "changed"
    entry.save()


CHANGES: dict[str, Callable[[ApiKeyAuditLog], object]] = {
    "save": save,
    "delete": lambda entry: entry.delete(),
    "update": lambda _: ApiKeyAuditLog.objects.update(message="changed"),
    "update to itself": lambda _: ApiKeyAuditLog.objects.update(message=F("message")),
    "bulk_update": lambda entry: ApiKeyAuditLog.objects.bulk_update([entry], ["message"]),
    "delete all": lambda _: ApiKeyAuditLog.objects.all().delete(),
    "raw delete": lambda _: ApiKeyAuditLog.objects.all()._raw_delete("default"),
    "upsert": lambda entry: ApiKeyAuditLog.objects.bulk_create(
        [entry], update_conflicts=True, unique_fields=["id"], update_fields=["message"]
    ),
    "SQL update": lambda _: run("UPDATE accounts_apikeyauditlog SET message = 'changed'"),
    "SQL update of the key": lambda _: run("UPDATE accounts_apikeyauditlog SET id = id + 1000"),
    "SQL delete": lambda _: run("DELETE FROM accounts_apikeyauditlog"),
}


@pytest.mark.django_db
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_it_refuses_to_change_or_delete_a_row(change: Callable[[ApiKeyAuditLog], object]) -> None:
    entry = make_entry(message="as it was")
    with pytest.raises(IntegrityError, match=f"{TABLE} is append-only"), transaction.atomic():
        change(entry)
    [row] = ApiKeyAuditLog.objects.values("id", "message")
    assert row == {"id": entry.pk, "message": "as it was"}


@pytest.mark.django_db
def test_it_refuses_to_replace_a_row() -> None:
    entry = make_entry(message="as it was")
    sql = {
        "sqlite": "REPLACE INTO accounts_apikeyauditlog SELECT * FROM accounts_apikeyauditlog",
        "postgresql": "TRUNCATE accounts_apikeyauditlog CASCADE",
    }
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
        run(sql[connection.vendor])
    assert list(ApiKeyAuditLog.objects.values_list("id", "message")) == [(entry.pk, "as it was")]


@pytest.mark.django_db
def test_it_takes_new_rows_one_by_one_and_in_bulk() -> None:
    make_entry()
    entries = [make_entry() for _ in range(2)]
    for entry in entries:
        entry.pk = None
    ApiKeyAuditLog.objects.bulk_create(entries)
    assert ApiKeyAuditLog.objects.count() == 5


@pytest.mark.django_db(transaction=True)
def test_it_refuses_what_a_transaction_of_its_own_tries() -> None:
    entry = make_entry()
    with pytest.raises(IntegrityError):
        entry.delete()
    assert ApiKeyAuditLog.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_it_is_emptied_between_tests_and_guarded_again() -> None:
    make_entry()
    call_command("flush", interactive=False, inhibit_post_migrate=True)
    assert ApiKeyAuditLog.objects.count() == 0
    make_entry()
    with pytest.raises(IntegrityError, match="append-only"):
        ApiKeyAuditLog.objects.all().delete()


@pytest.mark.django_db(transaction=True)
@isolate_apps("accounts")
def test_it_can_be_taken_back_and_applied_again() -> None:
    class Entry(models.Model):
        class Meta:
            app_label = "accounts"
            db_table = "accounts_ledger_of_a_test"

    operation = AppendOnly("accounts_ledger_of_a_test")
    state = ProjectState()
    with connection.schema_editor() as editor:
        editor.create_model(Entry)
    try:
        for _ in range(2):
            with connection.schema_editor() as editor:
                operation.database_forwards("accounts", editor, state, state)
        run("INSERT INTO accounts_ledger_of_a_test (id) VALUES (1)")
        with pytest.raises(IntegrityError):
            run("DELETE FROM accounts_ledger_of_a_test")
        with connection.schema_editor() as editor:
            operation.database_backwards("accounts", editor, state, state)
        run("DELETE FROM accounts_ledger_of_a_test")
    finally:
        with connection.schema_editor() as editor:
            editor.delete_model(Entry)


def test_it_is_written_into_migrations_as_it_was_given() -> None:
    operation = AppendOnly(TABLE)
    assert isinstance(operation, migrations.operations.base.Operation)
    assert operation.deconstruct() == ("AppendOnly", [TABLE], {})
    assert TABLE in operation.describe()
