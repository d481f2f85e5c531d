"""Programs that show an access token."""

from django.utils import timezone
from rest_framework_simplejwt.authentication import JWTAuthentication
from rest_framework_simplejwt.exceptions import InvalidToken
from rest_framework_simplejwt.tokens import Token

from accounts.models import User
from accounts.models.session import ProgramSession
from accounts.services.program_sessions import is_live, session_id_of


class ProgramAuthentication(JWTAuthentication):
    """Look at the token's session each time, so that ending it ends its tokens at once."""

    # The package gives a type variable that nothing binds.
    def get_user(self, validated_token: Token) -> User:  # type: ignore[override]
        """Return the user in one query together with the session; raises InvalidToken."""
        session_id = session_id_of(validated_token)
        session = (
            ProgramSession.objects.select_related("user").filter(pk=session_id).first()
            if session_id
            else None
        )
        if session is None or not is_live(session, validated_token, timezone.now()):
            raise InvalidToken("This session has ended; sign in again.")
        return session.user
