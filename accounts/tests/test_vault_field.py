import copy
import pickle
import sys
from base64 import b64decode
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from django.conf import settings
from django.core import serializers
from django.core.exceptions import FieldError
from django.db import connection, transaction
from django.db.models import F, QuerySet, Value
from django.db.models.functions import Concat
from django.test import override_settings
from django.test.client import RequestFactory
from django.views.debug import ExceptionReporter

from accounts.models import ApiKey, User
from accounts.tests.factories import SECRET, make_key
from accounts.vault.cipher import VaultError
from accounts.vault.fields import Ciphertext


def row_id(key: ApiKey) -> UUID | str:
    return key.pk.hex if connection.vendor == "sqlite" else UUID(str(key.pk))


def stored(key: ApiKey) -> bytes:
    with connection.cursor() as cursor:
        cursor.execute("SELECT secret FROM accounts_apikey WHERE id = %s", [row_id(key)])
        return bytes(cursor.fetchone()[0])


def test_it_gives_back_what_went_in_and_stores_only_ciphertext(alice: User) -> None:
    key = make_key(alice)
    assert ApiKey.objects.get(pk=key.pk).secret == SECRET
    assert SECRET.encode() not in stored(key)


def test_it_keeps_no_plaintext_on_a_saved_instance(alice: User) -> None:
    key = make_key(alice)
    assert isinstance(key.__dict__["secret"], Ciphertext)
    assert SECRET.encode() not in pickle.dumps(key)
    assert SECRET not in repr(vars(key))
    assert SECRET not in f"{key!r} {key}"
    assert key.secret == SECRET


def test_it_does_not_open_in_another_row(alice: User) -> None:
    mine, other = make_key(alice), make_key(alice, secret="something else")
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE accounts_apikey SET secret = (SELECT secret FROM accounts_apikey WHERE id = %s)"
            " WHERE id = %s",
            [row_id(mine), row_id(other)],
        )
    moved = ApiKey.objects.get(pk=other.pk)
    with pytest.raises(VaultError):
        moved.secret  # noqa: B018


def test_it_does_not_open_in_a_copied_row(alice: User) -> None:
    key = ApiKey.objects.get(pk=make_key(alice).pk)
    twin = copy.copy(key)
    twin.pk = make_key(alice).pk
    twin.save(update_fields=["secret"])
    with pytest.raises(VaultError):
        ApiKey.objects.get(pk=twin.pk).secret  # noqa: B018


def test_it_says_nothing_when_the_master_key_is_wrong(alice: User) -> None:
    key = make_key(alice)
    with override_settings(MASTER_KEY="w" * 40), pytest.raises(VaultError) as caught:
        key.secret  # noqa: B018
    assert SECRET not in str(caught.value)


def test_it_saves_a_loaded_row_without_sealing_it_anew(alice: User) -> None:
    key = ApiKey.objects.get(pk=make_key(alice).pk)
    before = stored(key)
    key.name = "Renamed"
    key.save()
    assert stored(key) == before


def test_it_opens_a_deferred_and_a_refreshed_value(alice: User) -> None:
    key = make_key(alice)
    deferred = ApiKey.objects.defer("secret").get(pk=key.pk)
    assert deferred.secret == SECRET
    key.refresh_from_db()
    assert key.secret == SECRET
    key.refresh_from_db(fields=["secret"])
    assert key.secret == SECRET


def test_it_seals_what_is_created_in_bulk(alice: User) -> None:
    keys = [ApiKey(user=alice, name=str(number), secret=f"s{number}") for number in range(3)]
    ApiKey.objects.bulk_create(keys)
    assert [key.secret for key in ApiKey.objects.order_by("name")] == ["s0", "s1", "s2"]
    assert b"s1" not in stored(keys[1])


@pytest.mark.parametrize(
    "value",
    ["plain", Value("plain"), F("name"), Concat(F("name"), Value("!")), b"plain"],
    ids=["text", "value", "column", "expression", "bytes"],
)
def test_it_cannot_be_updated_in_bulk(alice: User, value: Any) -> None:
    key = make_key(alice)
    before = stored(key)
    with pytest.raises(FieldError), transaction.atomic():
        ApiKey.objects.filter(pk=key.pk).update(secret=value)
    key.secret = "new"
    with pytest.raises(FieldError), transaction.atomic():
        ApiKey.objects.bulk_update([key], ["secret"])
    with pytest.raises(FieldError), transaction.atomic():
        ApiKey.objects.bulk_update([ApiKey(pk=key.pk, secret=value)], ["secret"])
    assert stored(key) == before


@pytest.mark.parametrize(
    "look_up",
    [
        lambda keys: keys.filter(secret=SECRET),
        lambda keys: keys.filter(secret__startswith="B"),
        lambda keys: keys.filter(secret__in=[SECRET]),
        lambda keys: keys.filter(secret__regex="."),
        lambda keys: keys.exclude(secret__gt="A"),
        lambda keys: keys.filter(secret=F("name")),
    ],
    ids=["exact", "startswith", "in", "regex", "gt", "column"],
)
def test_it_cannot_be_looked_up(
    alice: User, look_up: Callable[[QuerySet[ApiKey]], QuerySet[ApiKey]]
) -> None:
    make_key(alice)
    with pytest.raises(FieldError):
        look_up(ApiKey.objects.all()).exists()


def test_it_can_be_asked_whether_there_is_one(alice: User) -> None:
    make_key(alice)
    assert ApiKey.objects.filter(secret__isnull=False).count() == 1


def test_it_gives_ciphertext_to_values_and_annotations(alice: User) -> None:
    make_key(alice)
    [value] = ApiKey.objects.values_list("secret", flat=True)
    [row] = ApiKey.objects.annotate(copied=F("secret")).values("copied", "secret")
    for each in (value, row["copied"], row["secret"]):
        assert isinstance(each, bytes)
        assert SECRET.encode() not in each
        assert (repr(each), str(each), format(each)) == ("<encrypted>",) * 3


@pytest.mark.parametrize("as_format", ["json", "xml", "jsonl"])
def test_it_gives_ciphertext_to_a_dump(alice: User, as_format: str) -> None:
    key = make_key(alice)
    fresh = ApiKey(user=alice, name="Not saved yet", secret=SECRET)
    assert SECRET not in serializers.serialize(as_format, [key, fresh])
    [dumped] = serializers.serialize("python", [key])
    assert b64decode(dumped["fields"]["secret"]) == stored(key)


def test_it_stays_out_of_an_error_report(alice: User) -> None:
    key = ApiKey(user=alice, name="A", secret=SECRET)
    key.save()
    with override_settings(MASTER_KEY="w" * 40):
        try:
            key.secret  # noqa: B018
        except VaultError:
            reporter = ExceptionReporter(RequestFactory().get("/"), *sys.exc_info())
            report = reporter.get_traceback_html() + reporter.get_traceback_text()
    assert "VaultError" in report
    assert SECRET not in report
    assert "w" * 40 not in report
    assert settings.MASTER_KEY not in report


def test_it_has_no_fernet_keys_to_fall_back_on() -> None:
    field = ApiKey._meta.get_field("secret")
    for name in ("keys", "fernet_keys", "fernet"):
        with pytest.raises(FieldError):
            getattr(field, name)
