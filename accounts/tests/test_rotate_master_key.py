import threading
from io import StringIO
from itertools import count
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.apps import apps
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.test import override_settings

from accounts.models import ApiKey, ApiKeyAuditLog, MasterKey, User
from accounts.services import master_key_rotation
from accounts.services.master_key_rotation import reseal_all
from accounts.services.master_keys import ensure_master_key, retire_others
from accounts.tests.factories import NOW, make_key
from accounts.vault.cipher import VaultError, _value_key, encrypt, fingerprint_of, vault_key
from accounts.vault.fields import Ciphertext
from accounts.vault.register import require_sealing
from accounts.vault.sealed_text import open_text, seal_text

NEWER = "a newer master key of at least 32 characters"

rotating = override_settings(MASTER_KEY=NEWER, PREVIOUS_MASTER_KEYS=[settings.MASTER_KEY])
rotated = override_settings(MASTER_KEY=NEWER)
pytestmark = pytest.mark.django_db


def rotate() -> str:
    out = StringIO()
    call_command("rotate_master_key", stdout=out)
    return out.getvalue()


def make_keys(user: User, number: int) -> dict[Any, str]:
    return {
        make_key(user, secret=f"secret {index}").pk: f"secret {index}" for index in range(number)
    }


def sealed_with(master_key: str) -> int:
    name = vault_key(master_key).fingerprint
    rows = ApiKey.objects.filter(secret__isnull=False)
    return sum(fingerprint_of(row.__dict__["secret"]) == name for row in rows)


def secrets() -> dict[Any, str | None]:
    return {key.pk: key.secret for key in ApiKey.objects.all()}


def test_it_seals_everything_anew_and_retires_the_old_key(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(master_key_rotation, "BATCH_ROWS", 3)
    known = make_keys(alice, 10)
    before = ApiKey.objects.in_bulk()
    with rotating:
        told = rotate()
    assert "10 secrets are sealed anew" in told
    assert "is retired" in told
    old = vault_key(settings.MASTER_KEY).fingerprint.hex()
    assert [row.pk for row in MasterKey.objects.exclude(retired_at=None)] == [old]
    with rotated:
        assert secrets() == known
        assert ensure_master_key()
    with pytest.raises(VaultError):
        secrets()
    for key in ApiKey.objects.all():
        assert (key.updated_at, key.rotated_at) == (before[key.pk].updated_at, None)


def test_it_leaves_a_row_of_each_key(alice: User) -> None:
    known = make_keys(alice, 3)
    with rotating:
        rotate()
        rotate()
    rows = ApiKeyAuditLog.objects.filter(action="reencrypted")
    assert sorted(row.key_id for row in rows) == sorted(known)
    assert {(row.outcome, row.actor_id, row.user_id) for row in rows} == {
        ("allowed", None, alice.pk)
    }


def test_it_has_nothing_to_do_twice(alice: User) -> None:
    make_keys(alice, 2)
    with rotating:
        rotate()
        assert "already; nothing to rotate" in rotate()
    with rotated:
        assert "already; nothing to rotate" in rotate()


def test_it_passes_over_revoked_keys(alice: User) -> None:
    key = make_key(alice)
    ApiKey.objects.filter(pk=key.pk).update(status="revoked", secret=None)
    with rotating:
        assert "0 secrets are sealed anew" in rotate()


def test_it_takes_the_tokens_of_the_first_version_along(alice: User) -> None:
    key = make_key(alice)
    place = f"accounts.apikey:secret:{key.pk}".encode()
    older = first_version(settings.MASTER_KEY, place)
    ApiKey.objects.filter(pk=key.pk).update(secret=Ciphertext(older))
    assert ApiKey.objects.get(pk=key.pk).secret == "of the first version"
    with rotating:
        rotate()
    assert sealed_with(NEWER) == 1
    with rotated:
        assert ApiKey.objects.get(pk=key.pk).secret == "of the first version"


def first_version(master_key: str, place: bytes) -> bytes:
    header = b"\x01" + b"s" * 16 + b"n" * 12
    key = AESGCM(_value_key(vault_key(master_key), b"s" * 16))
    return header + key.encrypt(b"n" * 12, b"of the first version", header + place)


def test_it_keeps_every_value_readable_between_two_batches(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(master_key_rotation, "BATCH_ROWS", 2)
    known = make_keys(alice, 6)
    seen: list[int] = []

    def look(_rows: int) -> None:
        seen.append(sealed_with(NEWER))
        assert secrets() == known

    with rotating:
        ensure_master_key()
        reseal_all(now=lambda: NOW, advance=look)
    assert seen == [2, 4, 6]


def test_it_goes_on_where_it_was_cut_off(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(master_key_rotation, "BATCH_ROWS", 2)
    known = make_keys(alice, 6)
    batches = count(1)

    def pull_the_plug(_rows: int) -> None:
        if next(batches) == 2:
            raise KeyboardInterrupt

    with rotating:
        ensure_master_key()
        with pytest.raises(KeyboardInterrupt):
            reseal_all(now=lambda: NOW, advance=pull_the_plug)
        assert (sealed_with(NEWER), sealed_with(settings.PREVIOUS_MASTER_KEYS[0])) == (4, 2)
        assert "2 secrets are sealed anew" in rotate()
    with rotated:
        assert secrets() == known
    assert ApiKeyAuditLog.objects.filter(action="reencrypted").count() == 6


def test_it_retires_nothing_while_a_secret_opens_with_no_key(alice: User) -> None:
    known = make_keys(alice, 3)
    lost = make_key(alice)
    foreign = encrypt("x", key=vault_key("l" * 40), associated_data=b"")
    ApiKey.objects.filter(pk=lost.pk).update(secret=Ciphertext(foreign))
    with rotating, pytest.raises(CommandError) as refused:
        rotate()
    assert f"1 secrets open with none of the master keys here: API key secret {lost.pk}" in str(
        refused.value
    )
    assert not MasterKey.objects.exclude(retired_at=None).exists()
    assert sealed_with(NEWER) == len(known)
    ApiKey.objects.filter(pk=lost.pk).update(secret=None)
    with rotating:
        assert "is retired" in rotate()


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        ({"MASTER_KEY": NEWER}, "is not the key that the stored secrets are sealed with"),
        ({"PREVIOUS_MASTER_KEYS": [settings.MASTER_KEY]}, "are the same key"),
        (
            {"MASTER_KEY": NEWER, "PREVIOUS_MASTER_KEYS": ["l" * 40]},
            "is not the key that the stored secrets are sealed with",
        ),
    ],
    ids=["only the new one", "the same twice", "another one before"],
)
def test_it_refuses_keys_that_do_not_fit_and_changes_nothing(
    alice: User, keys: dict[str, Any], sentence: str
) -> None:
    make_keys(alice, 2)
    with override_settings(**keys), pytest.raises(CommandError, match=sentence):
        rotate()
    assert sealed_with(settings.MASTER_KEY) == 2
    assert MasterKey.objects.filter(retired_at=None).count() == 1


def test_it_does_not_generate_a_key_for_production() -> None:
    with override_settings(EMBEDDED=False), pytest.raises(CommandError, match="In production"):
        call_command("rotate_master_key", "--generate")


def test_it_can_be_turned_back_before_it_has_ended(alice: User) -> None:
    known = make_keys(alice, 2)
    with rotating:
        ensure_master_key()
        late = make_key(alice, secret="late")
    with override_settings(PREVIOUS_MASTER_KEYS=[NEWER]):
        rotate()
    assert secrets() == {**known, late.pk: "late"}
    newer = vault_key(NEWER).fingerprint.hex()
    assert [row.pk for row in MasterKey.objects.exclude(retired_at=None)] == [newer]


def skip_on_sqlite() -> None:
    if connection.vendor == "sqlite":
        pytest.skip("SQLite lets one transaction write at a time")


@pytest.mark.django_db(transaction=True)
def test_it_does_not_lose_what_others_change_meanwhile(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    skip_on_sqlite()
    monkeypatch.setattr(master_key_rotation, "BATCH_ROWS", 2)
    known = make_keys(alice, 20)
    edited: dict[Any, str] = {}
    has_begun = threading.Event()

    def edit() -> None:
        try:
            for number, pk in enumerate(sorted(known)):
                with transaction.atomic():
                    key = ApiKey.objects.select_for_update().get(pk=pk)
                    key.secret = edited[pk] = f"edited {number}"
                    key.save(update_fields=["secret", "updated_at"])
                has_begun.set()
        finally:
            has_begun.set()
            connection.close()

    with rotating:
        ensure_master_key()
        editor = threading.Thread(target=edit)
        editor.start()
        has_begun.wait(10.0)
        told = rotate()
        editor.join()
    assert "is retired" in told
    with rotated:
        assert secrets() == edited


@pytest.mark.django_db(transaction=True)
def test_it_waits_for_whoever_seals_with_the_old_key_before_it_retires_it(alice: User) -> None:
    skip_on_sqlite()
    key = make_key(alice)
    old = vault_key(settings.MASTER_KEY)
    token = encrypt("late", key=old, associated_data=f"accounts.apikey:secret:{key.pk}".encode())
    is_sealing, is_asked = threading.Event(), threading.Event()

    def seal_with_the_old_key() -> None:
        try:
            with transaction.atomic():
                require_sealing(old, [old])
                is_sealing.set()
                is_asked.wait(10.0)
                ApiKey.objects.filter(pk=key.pk).update(secret=Ciphertext(token))
        finally:
            is_sealing.set()
            connection.close()

    with rotating:
        ensure_master_key()
        reseal_all(now=lambda: NOW, advance=lambda _: None)
        late = threading.Thread(target=seal_with_the_old_key)
        late.start()
        is_sealing.wait(10.0)
        threading.Timer(0.2, is_asked.set).start()
        assert retire_others(now=NOW) is None
        late.join()
        assert "1 secrets are sealed anew" in rotate()
    with rotated:
        assert secrets() == {key.pk: "late"}


def test_it_takes_second_factors_along(alice: User) -> None:
    authenticators = apps.get_model("mfa", "Authenticator").objects
    totp = authenticators.create(
        user=alice, type="totp", data={"secret": seal_text("TOTP", context="mfa")}
    )
    codes = authenticators.create(
        user=alice,
        type="recovery_codes",
        data={
            "seed": seal_text("SEED", context="mfa"),
            "used_mask": 5,
            "migrated_codes": [seal_text(code, context="mfa") for code in ("1", "2")],
        },
    )
    with rotating:
        assert "2 secrets are sealed anew" in rotate()
    totp.refresh_from_db()
    codes.refresh_from_db()
    assert codes.data["used_mask"] == 5
    with rotated:
        sealed = [totp.data["secret"], codes.data["seed"], *codes.data["migrated_codes"]]
        assert [open_text(token, context="mfa") for token in sealed] == ["TOTP", "SEED", "1", "2"]
