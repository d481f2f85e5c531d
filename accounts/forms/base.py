from collections.abc import Mapping

from django import forms
from django.core.exceptions import ValidationError

from accounts.refusals import Refusal


class ServiceForm(forms.BaseForm):
    """A form whose service has the last word: what it says appears at the field."""

    def take_error(self, error: ValidationError | Refusal) -> None:
        """Show an error of a service; what names no field of this form stands above it."""
        if isinstance(error, Refusal):
            self.add_error(None, error.sentence)
            return
        if not hasattr(error, "error_dict"):
            self.add_error(None, error)
            return
        for name, errors in self.errors_by_field(error.error_dict).items():
            self.add_error(name if name in self.fields else None, errors)

    def errors_by_field(
        self, errors: Mapping[str, list[ValidationError]]
    ) -> Mapping[str, list[ValidationError]]:
        """Return the errors under the names that this form gives the fields."""
        return errors
