"""What a report of an error may show, wherever Django makes one."""

from collections.abc import ItemsView
from typing import Any

from django.http import HttpRequest
from django.views.debug import SafeExceptionReporterFilter


class SilentFilter(SafeExceptionReporterFilter):
    """Show where an error happened, and no value that anybody had sent or that was computed.

    Broker passwords pass through frames of libraries, which mark nothing as sensitive, and an error
    before the view has marked its fields shows them all.
    """

    def is_active(self, request: HttpRequest | None) -> bool:  # noqa: ARG002  # whatever DEBUG says
        return True

    def get_post_parameters(self, request: HttpRequest | None) -> dict[str, Any]:
        names = () if request is None else request.POST
        return dict.fromkeys(names, self.cleansed_substitute)

    def get_traceback_frame_variables(
        self,
        request: HttpRequest,  # noqa: ARG002
        tb_frame: Any,
    ) -> ItemsView[str, Any]:
        return dict.fromkeys(tb_frame.f_locals, self.cleansed_substitute).items()
