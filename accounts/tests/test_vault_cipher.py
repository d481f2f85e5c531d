import traceback
from base64 import b64decode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC
from hypothesis import given
from hypothesis import strategies as st

from accounts.vault import cipher
from accounts.vault.cipher import (
    FINGERPRINT_LENGTH,
    NONCE_LENGTH,
    SALT_LENGTH,
    VaultError,
    VaultKey,
    decrypt,
    encrypt,
    fingerprint_of,
    vault_key,
)

MASTER = "m" * 40
PLACE = b"accounts.apikey:secret:1"
SECRET = "p4ss-wört"
SALT_AT = 1 + FINGERPRINT_LENGTH
NONCE_AT = SALT_AT + SALT_LENGTH
SEALED_AT = NONCE_AT + NONCE_LENGTH
# Written by the first version of the vault: SECRET at PLACE with MASTER.
FIRST_VERSION_TOKEN = b64decode(
    "ATVXsasfl1+0G+Ai54WS2QkDskh40Gep8HUzNm5Lfh2yYAZZJL11+IQlJ6rUak12BhA7ZstlDA=="
)

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)


def sealed(plaintext: str = SECRET, *, master_key: str = MASTER) -> bytes:
    return encrypt(plaintext, key=vault_key(master_key), associated_data=PLACE)


def opened(token: bytes, *master_keys: str, place: bytes = PLACE) -> str:
    keys = [vault_key(master_key) for master_key in master_keys or (MASTER,)]
    return decrypt(token, keys=keys, associated_data=place)


@given(texts)
def test_it_opens_what_it_sealed(plaintext: str) -> None:
    assert opened(sealed(plaintext)) == plaintext


@pytest.mark.parametrize("plaintext", ["", "\0", "п" * 100_000, "🔑" * 300, "\u202e"])
def test_it_seals_the_empty_the_long_and_the_strange(plaintext: str) -> None:
    assert opened(sealed(plaintext)) == plaintext


def test_it_does_not_seal_half_a_character_and_keeps_it_to_itself() -> None:
    with pytest.raises(VaultError) as caught:
        sealed(f"{SECRET}\ud800")
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    assert caught.value.__context__ is None or caught.value.__suppress_context__


def test_it_never_seals_the_same_way_twice() -> None:
    first, second = sealed(), sealed()
    assert first[SALT_AT:NONCE_AT] != second[SALT_AT:NONCE_AT]
    assert first[NONCE_AT:SEALED_AT] != second[NONCE_AT:SEALED_AT]
    assert SECRET.encode() not in first


def test_it_begins_with_its_version_and_the_name_of_its_master_key() -> None:
    token = sealed()
    assert token[0] == 2
    assert fingerprint_of(token) == token[1:SALT_AT] == vault_key(MASTER).fingerprint
    assert vault_key("n" * 40).fingerprint != vault_key(MASTER).fingerprint


@pytest.mark.parametrize(
    ("master_key", "place"),
    [
        ("n" * 40, PLACE),
        (MASTER, b"accounts.apikey:secret:2"),
        (MASTER, b"accounts.apikey:name:1"),
        (MASTER, b"groups.apikey:secret:1"),
        (MASTER, b""),
    ],
)
def test_it_opens_nowhere_else_and_says_nothing(master_key: str, place: bytes) -> None:
    token = sealed()
    with pytest.raises(VaultError) as caught:
        opened(token, master_key, place=place)
    told = "".join(traceback.format_exception(caught.value))
    assert SECRET not in told
    assert master_key not in told
    assert token.hex() not in told


TOKEN = sealed()


@given(st.integers(0, len(TOKEN) * 8 - 1))
def test_it_notices_every_flipped_bit(bit: int) -> None:
    token = bytearray(TOKEN)
    token[bit // 8] ^= 1 << bit % 8
    with pytest.raises(VaultError):
        opened(bytes(token))


@given(st.integers(0, len(FIRST_VERSION_TOKEN) * 8 - 1))
def test_it_notices_every_flipped_bit_of_the_first_version(bit: int) -> None:
    token = bytearray(FIRST_VERSION_TOKEN)
    token[bit // 8] ^= 1 << bit % 8
    with pytest.raises(VaultError):
        opened(bytes(token))


@given(st.integers(0, len(TOKEN) - 1), st.booleans())
def test_it_notices_what_is_cut_off(length: int, from_the_front: bool) -> None:
    with pytest.raises(VaultError):
        opened(TOKEN[-length:] if from_the_front and length else TOKEN[:length])


@given(st.binary(min_size=1, max_size=40))
def test_it_notices_what_is_added(more: bytes) -> None:
    with pytest.raises(VaultError):
        opened(TOKEN + more)


@given(st.binary(max_size=200))
def test_it_refuses_what_it_did_not_write(token: bytes) -> None:
    with pytest.raises(VaultError):
        opened(token)


def test_it_opens_the_tokens_of_the_first_version_with_any_of_its_keys() -> None:
    assert fingerprint_of(FIRST_VERSION_TOKEN) is None
    assert opened(FIRST_VERSION_TOKEN) == SECRET
    assert opened(FIRST_VERSION_TOKEN, "n" * 40, MASTER) == SECRET
    with pytest.raises(VaultError):
        opened(FIRST_VERSION_TOKEN, "n" * 40)
    with pytest.raises(VaultError):
        opened(FIRST_VERSION_TOKEN, place=b"accounts.apikey:secret:2")


def test_it_cannot_be_talked_into_the_first_version() -> None:
    older = bytes([1]) + TOKEN[SALT_AT:]
    with pytest.raises(VaultError):
        opened(older)


def test_it_does_not_believe_a_fingerprint() -> None:
    foreign = bytearray(sealed(master_key="n" * 40))
    foreign[1:SALT_AT] = vault_key(MASTER).fingerprint
    with pytest.raises(VaultError):
        opened(bytes(foreign), MASTER, "n" * 40)


def test_it_asks_for_no_more_keys_than_it_needs() -> None:
    def keys() -> Iterator[VaultKey]:
        yield vault_key(MASTER)
        raise AssertionError("another key was asked for")

    assert decrypt(sealed(), keys=keys(), associated_data=PLACE) == SECRET


def test_it_stretches_a_master_key_once_however_many_ask_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stretchings: list[int] = []

    def counted(algorithm: SHA256, length: int, salt: bytes, iterations: int) -> PBKDF2HMAC:
        stretchings.append(iterations)
        return PBKDF2HMAC(algorithm, length, salt, iterations)

    monkeypatch.setattr(cipher, "PBKDF2HMAC", counted)
    monkeypatch.setattr(cipher, "PBKDF2_ITERATIONS", 1_000)
    master_key = "asked for by many at the same moment"
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda number: sealed(str(number), master_key=master_key), range(64)))
    assert stretchings == [1_000]


def test_it_keeps_the_stretched_key_out_of_its_repr() -> None:
    key = vault_key(MASTER)
    assert isinstance(key, VaultKey)
    assert key.stretched.hex() not in repr(key)
    assert repr(key.stretched) not in repr(key)
