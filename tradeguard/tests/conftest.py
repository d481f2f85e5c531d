from collections.abc import Iterator

import pytest

from tradeguard.tests.served_desk import ServedDesk


@pytest.fixture(scope="session")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedDesk]:
    """Run one desk for all tests that look at it from outside; they leave it running."""
    served = ServedDesk(tmp_path_factory.mktemp("desk"))
    yield served
    served.kill()
