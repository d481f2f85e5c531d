import logging
from datetime import timedelta

import pytest
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import OperationalError, connection, transaction
from django.test import override_settings
from django.test.utils import CaptureQueriesContext

from accounts.models import ApiKey, MasterKey, User
from accounts.services import master_keys
from accounts.services.master_keys import (
    ensure_master_key,
    examine_master_key,
    retire_others,
    unreadable_keys,
)
from accounts.tests.factories import NOW, SECRET, make_key
from accounts.vault.cipher import VaultError, encrypt, vault_key
from accounts.vault.fields import Ciphertext
from accounts.vault.keyring import current_key

pytestmark = pytest.mark.django_db

NEWER = "a newer master key of at least 32 characters"
WRONG = "a wrong master key of at least 32 characters"

rotating = override_settings(MASTER_KEY=NEWER, PREVIOUS_MASTER_KEYS=[settings.MASTER_KEY])


def fingerprints() -> set[str]:
    return set(MasterKey.objects.values_list("pk", flat=True))


def fingerprint(master_key: str) -> str:
    return vault_key(master_key).fingerprint.hex()


def test_it_registers_the_first_key_once() -> None:
    examine_master_key()
    assert not MasterKey.objects.exists()
    assert ensure_master_key()
    assert ensure_master_key()
    assert fingerprints() == {fingerprint(settings.MASTER_KEY)}


def test_it_registers_the_key_before_it_seals_anything(alice: User) -> None:
    make_key(alice)
    assert fingerprints() == {fingerprint(settings.MASTER_KEY)}


def test_it_refuses_a_wrong_key_and_writes_nothing(alice: User) -> None:
    key = make_key(alice)
    with override_settings(MASTER_KEY=WRONG):
        for refuse in (ensure_master_key, examine_master_key):
            with pytest.raises(ImproperlyConfigured, match="TRADEGUARD_MASTER_KEY is not the key"):
                refuse()
        with pytest.raises(VaultError), transaction.atomic():
            make_key(alice)
        key.secret = "another"
        with pytest.raises(VaultError), transaction.atomic():
            key.save()
    assert fingerprints() == {fingerprint(settings.MASTER_KEY)}
    assert [row.secret for row in ApiKey.objects.all()] == [SECRET]


def test_it_does_not_believe_another_wrong_key_as_the_one_before(alice: User) -> None:
    make_key(alice)
    with (
        override_settings(MASTER_KEY=WRONG, PREVIOUS_MASTER_KEYS=[NEWER]),
        pytest.raises(ImproperlyConfigured),
    ):
        ensure_master_key()


def test_it_takes_a_new_key_next_to_the_one_in_use(alice: User) -> None:
    old = make_key(alice)
    with rotating:
        assert ensure_master_key()
        new = make_key(alice, secret="sealed with the newer one")
        assert ApiKey.objects.get(pk=old.pk).secret == SECRET
        assert ApiKey.objects.get(pk=new.pk).secret == "sealed with the newer one"
    assert fingerprints() == {fingerprint(settings.MASTER_KEY), fingerprint(NEWER)}


def test_it_warns_who_has_only_one_of_two_keys_in_use(
    alice: User, caplog: pytest.LogCaptureFixture
) -> None:
    make_key(alice)
    with rotating:
        ensure_master_key()
        assert unreadable_keys() == []
    with caplog.at_level(logging.WARNING):
        assert ensure_master_key()
    assert unreadable_keys() == [fingerprint(NEWER)[:8]]
    assert fingerprint(NEWER)[:8] in caplog.text


def test_it_seals_nothing_with_a_retired_key_nor_starts_with_it(alice: User) -> None:
    key = make_key(alice)
    MasterKey.objects.update(retired_at=NOW)
    assert ApiKey.objects.get(pk=key.pk).secret == SECRET
    for refused in (ensure_master_key, lambda: make_key(alice)):
        with (
            pytest.raises(ImproperlyConfigured, match="was retired on 2026-11-20"),
            transaction.atomic(),
        ):
            refused()
    assert ApiKey.objects.count() == 1


def test_it_does_not_retire_a_key_that_is_needed(alice: User) -> None:
    make_key(alice)
    with rotating:
        ensure_master_key()
        assert retire_others(now=NOW) is None
    assert not MasterKey.objects.filter(retired_at__isnull=False).exists()


def test_it_refuses_the_first_key_when_older_secrets_do_not_open_with_it(alice: User) -> None:
    make_key(alice)
    MasterKey.objects.all().delete()
    with override_settings(MASTER_KEY=WRONG), pytest.raises(ImproperlyConfigured):
        ensure_master_key()
    assert not MasterKey.objects.exists()
    # One that is damaged does not hide that the others open.
    ApiKey.objects.filter(pk=make_key(alice).pk).update(secret=Ciphertext(b"damaged"))
    MasterKey.objects.all().delete()
    assert ensure_master_key()


def test_it_notices_a_canary_that_is_not_its_own() -> None:
    ensure_master_key()
    forged = encrypt("A canary", key=vault_key(WRONG), associated_data=b"")
    MasterKey.objects.update(canary=forged)
    with pytest.raises(ImproperlyConfigured, match="is damaged"):
        ensure_master_key()


def test_it_starts_without_a_database_and_asks_again_before_it_seals(
    alice: User, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    make_key(alice)

    def away(*_: object) -> None:
        raise OperationalError("connection refused")

    with override_settings(MASTER_KEY=WRONG):
        with monkeypatch.context() as patch:
            patch.setattr(master_keys, "require_sealing", away)
            assert not ensure_master_key()
        assert "could not be checked: connection refused" in caplog.text
        with pytest.raises(ImproperlyConfigured):
            make_key(alice)


def test_it_resaves_what_was_loaded_before_a_rotation_with_the_new_key(alice: User) -> None:
    key = ApiKey.objects.get(pk=make_key(alice).pk)
    with rotating:
        ensure_master_key()
        key.name = "Renamed"
        key.save()
        assert retire_others(now=NOW + timedelta(days=1)) is not None
    with override_settings(MASTER_KEY=NEWER):
        assert ApiKey.objects.get(pk=key.pk).secret == SECRET


def test_it_asks_once_per_sealing_and_never_to_open(alice: User) -> None:
    ensure_master_key()
    key = make_key(alice)
    with CaptureQueriesContext(connection) as queries:
        make_key(alice)
    assert len(queries) == 2
    loaded = ApiKey.objects.get(pk=key.pk)
    with CaptureQueriesContext(connection) as queries:
        assert loaded.secret == SECRET
    assert len(queries) == 0


def test_it_stretches_nothing_after_the_start(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    ensure_master_key()

    def stretch(*_: object, **__: object) -> None:
        raise AssertionError("a master key was stretched again")

    monkeypatch.setattr("accounts.vault.cipher.PBKDF2HMAC", stretch)
    assert ensure_master_key()
    assert [ApiKey.objects.get(pk=make_key(alice).pk).secret for _ in range(20)] == [SECRET] * 20
    assert current_key().fingerprint.hex() in fingerprints()
