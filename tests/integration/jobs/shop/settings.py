"""Connections that are kept, as in production."""

import os
import sys

from rowlock_ledger.addresses import read_database_address

if os.environ.get("SHOP_DRIVER") == "psycopg2":
    sys.modules["psycopg"] = None  # type: ignore[assignment]  # as in an image that has only the other one

_address = read_database_address(
    os.environ.get("SHOP_DATABASE_URL") or os.environ["ROWLOCK_DATABASE_URL"]
).parameters
SECRET_KEY = "of a test"
INSTALLED_APPS = ["tests.integration.jobs.shop"]
USE_TZ = True
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": _address["dbname"],
        "USER": _address["user"],
        "HOST": _address["host"],
        "PORT": _address["port"],
        "CONN_MAX_AGE": 600,
        "OPTIONS": {"application_name": "shop"},
    }
}
