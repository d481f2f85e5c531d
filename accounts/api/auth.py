"""Signing up, and tokens for programs."""

from dataclasses import replace
from typing import Any

from allauth.account.internal.flows.email_verification import send_verification_email_to_address
from allauth.account.models import EmailAddress
from django.contrib.auth import authenticate
from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.views.decorators.debug import sensitive_variables
from drf_spectacular.utils import extend_schema
from rest_framework import exceptions, serializers, status
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.api.rows import TextField
from accounts.api.serializers import TokensSerializer
from accounts.attempts import Attempt, too_many
from accounts.models import User
from accounts.origin import Origin
from accounts.second_factor import has_second_factor
from accounts.services.program_sessions import end_session_of, rotate_session, start_session
from accounts.services.two_factor import use_code
from accounts.services.users import register_user, without_taken_email
from accounts.verification import are_emails_verified, is_email_missing

SECRET: dict[str, Any] = {
    "write_only": True,
    "trim_whitespace": False,
    "style": {"input_type": "password"},
}


class SignInRefused(exceptions.AuthenticationFailed):
    """The password is right, and something is still missing; `api_code` names it."""

    auth_header = 'Bearer realm="api"'

    def __init__(self, api_code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.api_code = api_code


class RegistrationSerializer(serializers.Serializer[Any]):
    username = TextField(max_length=150)
    email = serializers.EmailField(max_length=254)
    password = TextField(max_length=128, **SECRET)
    time_zone = TextField(max_length=64, default="UTC")


class CredentialsSerializer(serializers.Serializer[Any]):
    username = TextField(max_length=254, help_text="The user name or e-mail address.")
    password = TextField(max_length=4096, **SECRET)
    code = TextField(
        max_length=32,
        required=False,
        allow_blank=True,
        write_only=True,
        help_text="Of the authenticator app, or a recovery code; for users who have set it up.",
    )


class RefreshSerializer(serializers.Serializer[Any]):
    refresh = TextField(max_length=4096)


class EntranceView(APIView):
    """Asked by whoever has no token yet; counted by address and name, not by user."""

    permission_classes = [AllowAny]
    authentication_classes = []
    throttle_classes = []  # `_count` is stricter

    def get_authenticate_header(self, request: Request) -> str:  # noqa: ARG002  # of DRF
        return 'Bearer realm="api"'


class RegisterView(EntranceView):
    @extend_schema(request=RegistrationSerializer, responses={201: RegistrationSerializer}, auth=[])
    @method_decorator(sensitive_variables())
    def post(self, request: Request) -> Response:
        """Create a user, who can then ask for tokens.

        Where e-mail addresses are verified, a link is sent there, which has to be opened first;
        the answer is the same when somebody has this address already.
        """
        serializer = RegistrationSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        _count(Attempt.of_address(request._request))
        try:
            user = register_user(**serializer.validated_data)
        except ValidationError as error:
            if not are_emails_verified():
                raise
            if (told := without_taken_email(error)) is not None:
                raise told from None
            _write_to(request, EmailAddress(email=serializer.validated_data["email"].lower()))
        else:
            _write_to(request, EmailAddress.objects.get(user=user))
        answer = RegistrationSerializer(serializer.validated_data).data
        return Response(answer, status.HTTP_201_CREATED)


class TokenView(EntranceView):
    @extend_schema(request=CredentialsSerializer, responses=TokensSerializer, auth=[])
    @method_decorator(sensitive_variables())
    def post(self, request: Request) -> Response:
        """Exchange a user's name and password for an access and a refresh token.

        A user with two-factor sign-in gives a `code`, too; without it the answer is 401 with the
        code `two_factor_required`.
        """
        serializer = CredentialsSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        given = serializer.validated_data
        attempt = Attempt.at_password(request._request, given["username"])
        _count(attempt)
        user = authenticate(
            request._request, username=given["username"], password=given["password"]
        )
        if not isinstance(user, User):
            raise exceptions.AuthenticationFailed(
                "No active account found with the given credentials"
            )
        attempt.forgive()
        if is_email_missing(user):
            _write_to(request, EmailAddress.objects.filter(user=user).first())
            raise SignInRefused(
                "email_unverified", "Open the link that was sent to your e-mail address first."
            )
        _check_code(request, user, given.get("code", ""))
        tokens = start_session(
            user=user,
            origin=replace(Origin.of_request(request._request), user_id=user.pk),
            now=timezone.now(),
        )
        return Response({"access": tokens.access, "refresh": tokens.refresh})


class RefreshView(EntranceView):
    @extend_schema(request=RefreshSerializer, responses=TokensSerializer, auth=[])
    @method_decorator(sensitive_variables())
    def post(self, request: Request) -> Response:
        """Exchange a refresh token for new tokens.

        Each refresh token is good once; one that comes back ends its session.
        """
        serializer = RefreshSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        attempt = Attempt.of_address(request._request)
        _count(attempt)
        tokens = rotate_session(
            shown=serializer.validated_data["refresh"],
            origin=Origin.of_request(request._request),
            now=timezone.now(),
        )
        attempt.forgive()
        return Response({"access": tokens.access, "refresh": tokens.refresh})


class RevokeView(EntranceView):
    @extend_schema(request=RefreshSerializer, responses={204: None}, auth=[])
    @method_decorator(sensitive_variables())
    def post(self, request: Request) -> Response:
        """End the session of a refresh token: its access tokens are good for nothing at once."""
        serializer = RefreshSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        attempt = Attempt.of_address(request._request)
        _count(attempt)
        end_session_of(shown=serializer.validated_data["refresh"], now=timezone.now())
        attempt.forgive()
        return Response(status=status.HTTP_204_NO_CONTENT)


@sensitive_variables("code")
def _check_code(request: Request, user: User, code: str) -> None:
    if not has_second_factor(user):
        return
    if not code:
        raise SignInRefused("two_factor_required", "Give a code of your authenticator app, too.")
    attempt = Attempt.at_code(request._request, user.pk)
    _count(attempt)
    origin = replace(Origin.of_request(request._request), user_id=user.pk)
    if use_code(user=user, code=code, now=timezone.now(), origin=origin) is None:
        raise SignInRefused("two_factor_wrong", "This code is wrong, or it was used before.")
    attempt.forgive()


def _count(attempt: Attempt) -> None:
    if (wait := attempt.wait_seconds()) is not None:
        refusal = exceptions.Throttled(wait)
        refusal.detail = exceptions.ErrorDetail(too_many(wait), "throttled")
        raise refusal


def _write_to(request: Request, address: EmailAddress | None) -> None:
    """Send the link that verifies an address, or word that somebody tried to register with it."""
    if address is not None:
        send_verification_email_to_address(request._request, address, signup=True)
