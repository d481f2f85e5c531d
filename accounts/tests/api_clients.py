from typing import Any

from rest_framework.test import APIClient

from accounts.models import User

API = "/api/v1"


class Client(APIClient):
    """Speaks JSON to the API as one user, with paths below /api/v1."""

    def ask(self, method: str, path: str, data: Any = None) -> Any:
        return self.generic_json(method, f"{API}/{path}", data)

    def generic_json(self, method: str, address: str, data: Any) -> Any:
        return getattr(self, method.lower())(address, data, format="json")


def client_of(user: User | None) -> Client:
    client = Client(raise_request_exception=False)
    if user is not None:
        client.force_authenticate(user)
    return client
