"""Short texts that others store where no model field of ours can encrypt them.

The context is bound in as a row is elsewhere: what was sealed for one does not open for another.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode

from django.views.decorators.debug import sensitive_variables

from accounts.vault import keyring
from accounts.vault.cipher import VaultError


@sensitive_variables("text")
def seal_text(text: str, *, context: str) -> str:
    """Return a token of `text`, in characters that JSON and URLs take as they are."""
    return urlsafe_b64encode(keyring.seal(text, place=_place(context))).decode()


def open_text(token: str, *, context: str) -> str:
    """Return what `seal_text` sealed for this context, or raise VaultError."""
    return keyring.unseal(_decoded(token), place=_place(context))


def reseal_text(token: str, *, context: str) -> str:
    """Return a token of the current master key; the same one if it is of that key already."""
    resealed = keyring.reseal(_decoded(token), place=_place(context))
    return urlsafe_b64encode(resealed).decode()


def is_current_text(token: str) -> bool:
    """Tell whether the current master key sealed this token; raises VaultError for no token."""
    return keyring.is_current(_decoded(token))


def _decoded(token: str) -> bytes:
    try:
        return urlsafe_b64decode(token.encode("ascii"))
    except ValueError:
        raise VaultError("This is not a value that the vault has written.") from None


def _place(context: str) -> bytes:
    return f"text:{context}".encode()
