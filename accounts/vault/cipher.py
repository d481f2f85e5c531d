"""AES-256-GCM for broker passwords and second factors.

A token is `version (1) | fingerprint (16) | salt (16) | nonce (12) | ciphertext and tag`; the
fingerprint tells which master key it was sealed with. Tokens of version 1 have none. PBKDF2
stretches a master key once per process; HKDF with the value's own salt gives the key of each value.
The associated data names the place of the value (model, column and row), so a token that is copied
to another row does not open there.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from secrets import token_bytes
from threading import Lock

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC
from django.views.decorators.debug import sensitive_variables

FIRST_VERSION = 1
VERSION = 2
FINGERPRINT_LENGTH = 16
SALT_LENGTH = 16
NONCE_LENGTH = 12
TAG_LENGTH = 16
# OWASP's password storage figure for PBKDF2-HMAC-SHA256 (2023 and later).
PBKDF2_ITERATIONS = 600_000
PBKDF2_SALT = b"tradeguard.vault.v1"


class VaultError(Exception):
    """A value that does not seal or open: wrong master key, wrong row, or damaged."""


@dataclass(frozen=True, slots=True)
class VaultKey:
    """A stretched master key and the name by which tokens know it.

    The fingerprint is derived from the stretched key: guessing at a master key by it costs as much
    as guessing by a token.
    """

    stretched: bytes = field(repr=False)
    fingerprint: bytes


@dataclass(frozen=True, slots=True)
class _Parts:
    fingerprint: bytes | None
    salt: bytes
    nonce: bytes
    header: bytes
    sealed: bytes


@sensitive_variables()
def vault_key(master_key: str) -> VaultKey:
    """Return the key of this master key, stretched once per process (a fraction of a second)."""
    with _stretching:
        return _stretch(master_key)


@sensitive_variables()
def encrypt(plaintext: str, *, key: VaultKey, associated_data: bytes) -> bytes:
    """Return a new token for `plaintext`; encrypting twice gives two different tokens."""
    try:
        encoded = plaintext.encode()
    except UnicodeEncodeError:
        # The error itself carries the text, and Django's error page shows it.
        raise VaultError("Half a character cannot be sealed.") from None
    salt = token_bytes(SALT_LENGTH)
    nonce = token_bytes(NONCE_LENGTH)
    header = bytes([VERSION]) + key.fingerprint + salt + nonce
    sealed = AESGCM(_value_key(key, salt)).encrypt(nonce, encoded, header + associated_data)
    return header + sealed


@sensitive_variables()
def decrypt(token: bytes, *, keys: Iterable[VaultKey], associated_data: bytes) -> str:
    """Return the plaintext of `token`, or raise VaultError without a hint of its content.

    Of `keys` only as many are asked for as it takes to find the one that sealed the token.
    """
    parts = _take_apart(token)
    for key in keys:
        if parts.fingerprint not in (None, key.fingerprint):
            continue
        try:
            opened = AESGCM(_value_key(key, parts.salt)).decrypt(
                parts.nonce, parts.sealed, parts.header + associated_data
            )
        except InvalidTag:
            continue
        return opened.decode()
    raise VaultError("The value does not open with this master key in this row.")


def fingerprint_of(token: bytes) -> bytes | None:
    """Return which master key sealed a token, None of version 1; raise VaultError for others."""
    return _take_apart(token).fingerprint


def _take_apart(token: bytes) -> _Parts:
    version = token[0] if token else 0
    lengths = {FIRST_VERSION: 0, VERSION: FINGERPRINT_LENGTH}
    if version not in lengths:
        raise VaultError("This is not a value that the vault has written.")
    salt_at = 1 + lengths[version]
    nonce_at = salt_at + SALT_LENGTH
    end = nonce_at + NONCE_LENGTH
    if len(token) < end + TAG_LENGTH:
        raise VaultError("This is not a value that the vault has written.")
    return _Parts(
        fingerprint=token[1:salt_at] or None,
        salt=token[salt_at:nonce_at],
        nonce=token[nonce_at:end],
        header=token[:end],
        sealed=token[end:],
    )


# Without it, threads that start together would each stretch the same key.
_stretching = Lock()


@sensitive_variables()
@lru_cache(maxsize=16)
def _stretch(master_key: str) -> VaultKey:
    stretched = PBKDF2HMAC(SHA256(), 32, PBKDF2_SALT, PBKDF2_ITERATIONS).derive(master_key.encode())
    fingerprint = HKDF(SHA256(), FINGERPRINT_LENGTH, None, b"tradeguard.vault.fingerprint")
    return VaultKey(stretched, fingerprint.derive(stretched))


@sensitive_variables()
def _value_key(key: VaultKey, salt: bytes) -> bytes:
    return HKDF(SHA256(), 32, salt, b"tradeguard.vault.value").derive(key.stretched)
