"""The master keys of this process: one seals, all of them open."""

from collections.abc import Iterator

from django.conf import settings
from django.views.decorators.debug import sensitive_variables

from accounts.vault.cipher import VaultError, VaultKey, decrypt, encrypt, fingerprint_of, vault_key
from accounts.vault.register import require_sealing


@sensitive_variables()
def current_key() -> VaultKey:
    return vault_key(settings.MASTER_KEY)


@sensitive_variables()
def readable_keys() -> Iterator[VaultKey]:
    """Give the current key first, then the previous ones, each stretched when it is asked for."""
    yield current_key()
    for master_key in settings.PREVIOUS_MASTER_KEYS:
        yield vault_key(master_key)


@sensitive_variables("plaintext")
def seal(plaintext: str, *, place: bytes) -> bytes:
    """Return a token that opens at `place` alone.

    Raises MasterKeyRefusedError when the register of master keys does not let this one seal: what
    is sealed with a wrong key is lost for everybody else.
    """
    key = current_key()
    require_sealing(key, readable_keys())
    return encrypt(plaintext, key=key, associated_data=place)


def unseal(token: bytes, *, place: bytes) -> str:
    """Return what was sealed at `place`, with any of the readable keys, or raise VaultError."""
    return decrypt(token, keys=readable_keys(), associated_data=place)


def is_current(token: bytes) -> bool:
    """Tell whether the current key sealed this token; False for what is no token."""
    try:
        return fingerprint_of(token) == current_key().fingerprint
    except VaultError:
        return False


@sensitive_variables("plaintext")
def reseal(token: bytes, *, place: bytes) -> bytes:
    """Return a token of the current key for what `token` holds; itself if it is one already."""
    if is_current(token):
        return token
    plaintext = unseal(token, place=place)
    return seal(plaintext, place=place)
