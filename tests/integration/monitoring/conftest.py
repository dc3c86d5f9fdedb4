"""A stage for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.monitoring.stage import MonitoringStage
from tests.standins import llm as llm_standin
from tests.standins import website as site_standin


@pytest.fixture
def site() -> Iterator[site_standin.Site]:
    with site_standin.running(site_standin.Config(articles_per_class=3)) as made:
        yield made


@pytest.fixture
def llm() -> Iterator[llm_standin.Running]:
    with llm_standin.running(llm_standin.Llm()) as made:
        yield made


@pytest.fixture
def stage(
    database: str, redis_url: str, tmp_path: Path, site: site_standin.Site, llm: llm_standin.Running
) -> Iterator[MonitoringStage]:
    made = MonitoringStage(database, redis_url, tmp_path, site, llm)
    yield made
    made.close()
