import traceback

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.vault.cipher import NONCE_LENGTH, SALT_LENGTH, VaultError, decrypt, encrypt

MASTER = "m" * 40
PLACE = b"accounts.apikey:secret:1"
SECRET = "p4ss-wört"


def sealed(plaintext: str = SECRET) -> bytes:
    return encrypt(plaintext, master_key=MASTER, associated_data=PLACE)


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=300))
def test_it_opens_what_it_sealed(plaintext: str) -> None:
    token = sealed(plaintext)
    assert decrypt(token, master_key=MASTER, associated_data=PLACE) == plaintext


def test_it_never_seals_the_same_way_twice() -> None:
    first, second = sealed(), sealed()
    assert first[1 : 1 + SALT_LENGTH] != second[1 : 1 + SALT_LENGTH]
    nonces = {token[1 + SALT_LENGTH : 1 + SALT_LENGTH + NONCE_LENGTH] for token in (first, second)}
    assert len(nonces) == 2
    assert SECRET.encode() not in first


def test_it_begins_with_its_version() -> None:
    assert sealed()[0] == 1


@pytest.mark.parametrize(
    ("master_key", "place"),
    [("n" * 40, PLACE), (MASTER, b"accounts.apikey:secret:2"), (MASTER, b"accounts.apikey:name:1")],
)
def test_it_opens_nowhere_else_and_says_nothing(master_key: str, place: bytes) -> None:
    token = sealed()
    with pytest.raises(VaultError) as caught:
        decrypt(token, master_key=master_key, associated_data=place)
    told = "".join(traceback.format_exception(caught.value))
    assert SECRET not in told
    assert master_key not in told
    assert token.hex() not in told


@pytest.mark.parametrize("position", [0, 1, SALT_LENGTH + 1, SALT_LENGTH + NONCE_LENGTH + 1, -1])
def test_it_notices_a_changed_byte_wherever_it_is(position: int) -> None:
    token = bytearray(sealed())
    token[position] ^= 1
    with pytest.raises(VaultError):
        decrypt(bytes(token), master_key=MASTER, associated_data=PLACE)


@pytest.mark.parametrize("token", [b"", b"\x01", b"\x02" * 80, b"plain text", sealed()[:44]])
def test_it_refuses_what_it_did_not_write(token: bytes) -> None:
    with pytest.raises(VaultError):
        decrypt(token, master_key=MASTER, associated_data=PLACE)
