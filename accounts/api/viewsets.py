from typing import Any, ClassVar, Generic, TypeVar

from django.db.models import Model, QuerySet
from rest_framework import viewsets

from accounts.api.rows import LIST_FILTERS, own_row, user_of
from accounts.models import User

Row = TypeVar("Row", bound=Model)


class OwnedViewSet(viewsets.GenericViewSet[Row], Generic[Row]):
    """Endpoints over the rows of the signed-in user; a stranger's row answers 404."""

    model: ClassVar[type[Model]]
    filter_backends = LIST_FILTERS

    @property
    def owner(self) -> User:
        return user_of(self.request)

    def own_rows(self) -> QuerySet[Row]:
        raise TypeError(f"{type(self).__name__} does not say which rows it shows.")

    def get_queryset(self) -> QuerySet[Row]:
        if getattr(self, "swagger_fake_view", False):  # the schema is written without a user
            shown = getattr(getattr(self, "filterset_class", None), "_meta", self)
            rows: QuerySet[Any] = shown.model._default_manager.none()
            return rows
        return self.own_rows()

    def get_object(self) -> Row:
        # OPTIONS asks for the row of every PUT, also of those that change many.
        return own_row(self.get_queryset(), self.kwargs.get("pk"))
