"""What is written in bulk fails as everything else does."""

from datetime import UTC, datetime

import pytest
from django.db import IntegrityError, transaction

from copytrade.models import CopyOrder
from copytrade.replication.inserts import insert_rows

NOW = datetime(2026, 11, 18, 12, 0, tzinfo=UTC)


def row() -> CopyOrder:
    same = "01a1fee3-2a3c-7000-8304-e146e4e6418b"
    return CopyOrder(
        event_id=same, relationship_id=same, provider_id=same, follower_id=same, planned_at=NOW
    )


@pytest.mark.django_db
def test_a_row_that_is_there_already_is_an_integrity_error() -> None:
    insert_rows([row()])
    with pytest.raises(IntegrityError), transaction.atomic():
        insert_rows([row()])
    assert CopyOrder.objects.count() == 1
