"""The key pair by which the push services of browsers know this TradeGuard (RFC 8292)."""

import base64

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from django.db import IntegrityError, transaction
from django.views.decorators.debug import sensitive_variables

from notifications.models import PushKey

# The private key is sealed for its row, whose key must be known before it is written.
_ONLY_ID = 1


def public_push_key() -> str:
    """Return what a browser's subscription is bound to: a P-256 point in base64url."""
    return _push_key().public_key


@sensitive_variables()
def private_push_key() -> str:
    """Return the number of 32 bytes that signs for the public key, in base64url.

    Raises VaultError when no master key of this process opens it.
    """
    opened = _push_key().private_key
    if opened is None:
        raise LookupError("The push key has no private half.")
    return opened


def _push_key() -> PushKey:
    """Return the one row, which is made when it is first needed."""
    found = PushKey.objects.first()
    if found is not None:
        return found
    try:
        with transaction.atomic():
            return _make()
    except IntegrityError:  # another process was first
        return PushKey.objects.get()


@sensitive_variables()
def _make() -> PushKey:
    pair = ec.generate_private_key(ec.SECP256R1())
    point = pair.public_key().public_bytes(
        serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
    )
    number = pair.private_numbers().private_value.to_bytes(32, "big")
    made = PushKey(pk=_ONLY_ID, public_key=_base64url(point), private_key=_base64url(number))
    made.save(force_insert=True)
    return made


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
