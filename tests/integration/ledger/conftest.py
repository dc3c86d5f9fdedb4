from collections.abc import Iterator

import pytest

from tests.integration.ledger.ledger_client import LedgerClient


@pytest.fixture
def ledger(database: str) -> Iterator[LedgerClient]:
    client = LedgerClient(database)
    yield client
    client.close()
