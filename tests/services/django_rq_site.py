"""`python -m tests.services.django_rq_site REDIS_URL QUEUE PATH...`: what the pages of django-rq's site say.

Prints JSON: path -> [status, text]. A process of its own, because Django is set up once a process.
"""

import json
import sys

import django
from django.conf import settings
from django.core.management import call_command
from django.test import Client
from django.urls import include, path


def main(redis_url: str, queue: str, paths: list[str]) -> dict[str, tuple[int, str]]:
    _set_up(redis_url, queue)
    from django.contrib import admin
    from django.contrib.auth.models import User

    settings.ROOT_URLCONF = (path("admin/", admin.site.urls), path("django-rq/", include("django_rq.urls")))
    call_command("migrate", verbosity=0)
    client = Client(raise_request_exception=False)
    client.force_login(User.objects.create_superuser("admin"))
    answers = [client.get(f"/django-rq/{path}") for path in paths]
    return {
        path: (each.status_code, each.content.decode()) for path, each in zip(paths, answers, strict=True)
    }


def _set_up(redis_url: str, queue: str) -> None:
    contrib = ["admin", "auth", "contenttypes", "sessions", "messages"]
    middleware = ["sessions.middleware.SessionMiddleware", "auth.middleware.AuthenticationMiddleware"]
    middleware += ["messages.middleware.MessageMiddleware"]
    processors = ["contrib.auth.context_processors.auth", "contrib.messages.context_processors.messages"]
    processors += ["template.context_processors.request"]
    settings.configure(
        SECRET_KEY="of a test",
        ALLOWED_HOSTS=["testserver"],
        INSTALLED_APPS=[*(f"django.contrib.{name}" for name in contrib), "django_rq"],
        MIDDLEWARE=[f"django.contrib.{name}" for name in middleware],
        TEMPLATES=[
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "APP_DIRS": True,
                "OPTIONS": {"context_processors": [f"django.{name}" for name in processors]},
            }
        ],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
        STATIC_URL="static/",
        RQ_QUEUES={queue: {"URL": redis_url}},
    )
    django.setup()


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], sys.argv[2], sys.argv[3:])))
