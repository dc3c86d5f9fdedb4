"""Every site by its name, and what each offers."""

import pytest

from rowlock_jobs.task import InputError
from rowlock_operator.api.monitoring_process import Site as SiteSpec
from rowlock_web.capabilities.offered import offered
from rowlock_web.fetch.fetcher import Fetcher
from rowlock_web.sites.registry import open_site, site_names


def test_an_unknown_driver_is_refused_with_the_names_that_exist() -> None:
    with pytest.raises(InputError) as raised:
        open_site("facebook", None)  # type: ignore[arg-type]
    assert raised.value.reason == "UnknownDriver"
    assert "generic-rss, mymoment" in str(raised.value)


@pytest.mark.parametrize("name", ["registry", "", "..", "mymoment.driver", "generic_rss", "os"])
def test_a_module_that_is_no_site_is_never_loaded_as_one(name: str) -> None:
    with pytest.raises(InputError):
        open_site(name, None)  # type: ignore[arg-type]


def test_a_user_may_name_exactly_the_sites_there_are() -> None:
    schema = SiteSpec.model_json_schema()["properties"]["driver"]
    assert sorted(schema["enum"]) == list(site_names())


@pytest.mark.parametrize("name", site_names())
def test_every_site_opens_and_offers_something(name: str) -> None:
    with Fetcher("https://site.example", None) as fetcher:  # type: ignore[arg-type]
        site = open_site(name, fetcher)
    assert site.articles is not None


def test_a_site_without_a_capability_says_which_and_what_to_do() -> None:
    with pytest.raises(InputError, match="this site offers no comments; take another") as raised:
        offered(None, "comments", "take another")
    assert raised.value.reason == "NotOffered"
