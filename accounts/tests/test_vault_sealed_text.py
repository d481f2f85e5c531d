import json

import pytest
from django.conf import settings
from django.test import override_settings

from accounts.vault.cipher import VaultError
from accounts.vault.keyring import seal
from accounts.vault.sealed_text import is_current_text, open_text, reseal_text, seal_text

pytestmark = pytest.mark.django_db

SEED = "JBSWY3DPEHPK3PXP"


def test_it_opens_for_its_context_alone() -> None:
    token = seal_text(SEED, context="mfa")
    assert open_text(token, context="mfa") == SEED
    with pytest.raises(VaultError):
        open_text(token, context="mail")


def test_it_can_be_stored_as_it_is() -> None:
    token = seal_text(SEED, context="mfa")
    assert json.dumps(token) == f'"{token}"'
    assert SEED not in token
    assert token != seal_text(SEED, context="mfa")


@pytest.mark.parametrize("token", ["", SEED, "not a token", "ключ", "\0", "A" * 120])
def test_it_refuses_what_it_did_not_write(token: str) -> None:
    with pytest.raises(VaultError):
        open_text(token, context="mfa")


def test_it_does_not_open_what_was_sealed_for_a_row() -> None:
    row = seal(SEED, place=b"accounts.apikey:secret:1")
    with pytest.raises(VaultError):
        open_text(row.hex(), context="mfa")


def test_it_seals_anew_what_an_earlier_master_key_sealed() -> None:
    token = seal_text(SEED, context="mfa")
    assert is_current_text(token)
    assert reseal_text(token, context="mfa") == token
    with override_settings(MASTER_KEY="n" * 40, PREVIOUS_MASTER_KEYS=[settings.MASTER_KEY]):
        assert not is_current_text(token)
        assert open_text(token, context="mfa") == SEED
        newer = reseal_text(token, context="mfa")
        assert is_current_text(newer)
    with override_settings(MASTER_KEY="n" * 40):
        assert open_text(newer, context="mfa") == SEED
        with pytest.raises(VaultError):
            open_text(token, context="mfa")
