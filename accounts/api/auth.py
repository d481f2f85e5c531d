"""Signing up, and tokens for programs."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework_simplejwt.authentication import JWTAuthentication
from rest_framework_simplejwt.tokens import RefreshToken
from rest_framework_simplejwt.views import TokenObtainPairView, TokenRefreshView

from accounts.api.serializers import RegistrationSerializer, TokensSerializer
from accounts.attempts import CredentialsThrottle, forgive_attempt
from accounts.services.users import register_user


class RefreshSerializer(serializers.Serializer[Any]):
    refresh = serializers.CharField()
    access = serializers.CharField(read_only=True)

    def validate(self, attrs: dict[str, str]) -> dict[str, str]:
        token = RefreshToken(attrs["refresh"])  # type: ignore[arg-type]  # it takes text as well
        # The same questions as for an access token: is there such a user, active, and with the
        # password that the token was issued for?
        JWTAuthentication().get_user(token)
        return {"access": str(token.access_token), "refresh": str(token)}


class CredentialsView(APIView):
    throttle_classes = [CredentialsThrottle]


class RegisterView(CredentialsView):
    permission_classes = [AllowAny]
    authentication_classes = []

    @extend_schema(request=RegistrationSerializer, responses={201: RegistrationSerializer}, auth=[])
    def post(self, request: Request) -> Response:
        """Create a user, who can then ask for tokens."""
        serializer = RegistrationSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        user = register_user(**serializer.validated_data)
        return Response(RegistrationSerializer(user).data, status.HTTP_201_CREATED)


class TokenView(CredentialsView, TokenObtainPairView):
    @extend_schema(responses=TokensSerializer, auth=[])
    def post(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Exchange a user's name and password for an access and a refresh token."""
        response = super().post(request, *args, **kwargs)
        forgive_attempt(request._request)  # a wrong one has raised
        return response


class RefreshView(CredentialsView, TokenRefreshView):
    serializer_class = RefreshSerializer

    @extend_schema(responses=TokensSerializer, auth=[])
    def post(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Exchange a refresh token for a new access token."""
        response = super().post(request, *args, **kwargs)
        forgive_attempt(request._request)
        return response
