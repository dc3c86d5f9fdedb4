"""Every site by the name that a user gives: a module (or package) of this folder with a function `open_site`.

A driver's name is its module's, with hyphens for underscores. Only the module that is asked for is loaded.
"""

from functools import cache
from importlib import import_module
from pkgutil import iter_modules

import rowlock_web.sites
from rowlock_jobs.task import InputError
from rowlock_web.capabilities.offered import Site
from rowlock_web.fetch.fetcher import Fetcher


@cache
def site_names() -> tuple[str, ...]:
    """The names of all sites, sorted."""
    modules = {module.name for module in iter_modules(rowlock_web.sites.__path__)} - {"registry"}
    return tuple(sorted(name.replace("_", "-") for name in modules))


def open_site(name: str, fetcher: Fetcher) -> Site:
    """The site of this name, through `fetcher`. Raises InputError UnknownDriver, which lists the names there
    are.
    """
    if name not in site_names():
        known = ", ".join(site_names())
        raise InputError("UnknownDriver", f"there is no site driver {name!r}; there are {known}")
    site: Site = import_module(f"rowlock_web.sites.{name.replace('-', '_')}").open_site(fetcher)
    return site
