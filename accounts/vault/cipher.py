"""AES-256-GCM for broker passwords.

A token is `version (1) | salt (16) | nonce (12) | ciphertext and tag`. PBKDF2 stretches the master
key once per process and key version; HKDF with the value's own salt gives the key of each value.
The associated data names the model, column and row, so a token that is copied to another row does
not open there.
"""

from functools import lru_cache
from secrets import token_bytes

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC
from django.views.decorators.debug import sensitive_variables

VERSION = 1
SALT_LENGTH = 16
NONCE_LENGTH = 12
TAG_LENGTH = 16
# OWASP's password storage figure for PBKDF2-HMAC-SHA256 (2023 and later).
PBKDF2_ITERATIONS = 600_000
PBKDF2_SALT = b"tradeguard.vault.v1"


class VaultError(Exception):
    """A token that does not open: wrong master key, wrong row, or damaged."""


@sensitive_variables()
def encrypt(plaintext: str, *, master_key: str, associated_data: bytes) -> bytes:
    """Return a new token for `plaintext`; encrypting twice gives two different tokens."""
    salt = token_bytes(SALT_LENGTH)
    nonce = token_bytes(NONCE_LENGTH)
    header = bytes([VERSION]) + salt + nonce
    sealed = AESGCM(_value_key(master_key, salt)).encrypt(
        nonce, plaintext.encode(), header + associated_data
    )
    return header + sealed


@sensitive_variables()
def decrypt(token: bytes, *, master_key: str, associated_data: bytes) -> str:
    """Return the plaintext of `token`, or raise VaultError without a hint of its content."""
    header_length = 1 + SALT_LENGTH + NONCE_LENGTH
    if len(token) < header_length + TAG_LENGTH or token[0] != VERSION:
        raise VaultError("This is not a value that the vault has written.")
    salt = token[1 : 1 + SALT_LENGTH]
    nonce = token[1 + SALT_LENGTH : header_length]
    try:
        opened = AESGCM(_value_key(master_key, salt)).decrypt(
            nonce, token[header_length:], token[:header_length] + associated_data
        )
    except InvalidTag:
        raise VaultError("The value does not open with this master key in this row.") from None
    return opened.decode()


@sensitive_variables()
@lru_cache(maxsize=4)
def _stretched(master_key: str) -> bytes:
    return PBKDF2HMAC(SHA256(), 32, PBKDF2_SALT, PBKDF2_ITERATIONS).derive(master_key.encode())


@sensitive_variables()
def _value_key(master_key: str, salt: bytes) -> bytes:
    return HKDF(SHA256(), 32, salt, b"tradeguard.vault.value").derive(_stretched(master_key))
