"""Refusals of the API server become errors named by what the caller does next."""

import pytest

from rowlock_operator.api.kinds import WORK_QUEUES
from rowlock_operator.cluster.kinds import DEPLOYMENTS, KUBE_JOBS, PODS
from rowlock_operator.cluster.replies import Call, WatchExpired, error_of, patience_seconds, sentence
from rowlock_operator.errors import (
    AlreadyExists,
    ApiUnavailable,
    Conflict,
    Forbidden,
    GiveUp,
    NotFound,
    RowlockError,
)

CALL = Call("patch", WORK_QUEUES, "shop", "orders", "status")


@pytest.mark.parametrize(
    ("status", "message", "expected"),
    [
        (401, "Unauthorized", ApiUnavailable),
        (403, 'User "x" cannot patch', Forbidden),
        (403, "unable to create new content in namespace shop because it is being terminated", NotFound),
        (403, "exceeded quota: compute, requested: pods=1", GiveUp),
        (404, "not found", NotFound),
        (409, "the object has been modified", Conflict),
        (410, "too old resource version", WatchExpired),
        (422, "spec.x: Invalid value", GiveUp),
        (
            500,
            "failed to create typed patch object (shop/orders): .spec.x: field not declared in schema",
            GiveUp,
        ),
        (500, "etcdserver: request timed out", ApiUnavailable),
        (429, "too many requests", ApiUnavailable),
        (503, "apiserver is shutting down", ApiUnavailable),
        (418, "teapot", GiveUp),
    ],
)
def test_each_refusal_has_its_error_and_names_the_object(
    status: int, message: str, expected: type[RowlockError]
) -> None:
    error = error_of(CALL, status, {"kind": "Status", "message": message})
    assert type(error) is expected
    assert "WorkQueue/shop/orders" in str(error)


@pytest.mark.parametrize(
    ("call", "rule"),
    [
        (CALL, 'verb "patch" on resource "workqueues/status" of API group "rowlock.dev" in namespace shop'),
        (
            Call("list", KUBE_JOBS, "shop"),
            'verb "list" on resource "jobs" of API group "batch" in namespace shop',
        ),
        (
            Call("watch", PODS, None),
            'verb "watch" on resource "pods" of API group "" in the whole cluster (ClusterRole)',
        ),
        (
            Call("patch", DEPLOYMENTS, "shop", "d", "scale"),
            'verb "patch" on resource "deployments/scale" of API group "apps" in namespace shop',
        ),
    ],
)
def test_forbidden_says_which_right_the_role_lacks(call: Call, rule: str) -> None:
    assert rule in str(error_of(call, 403, {"message": "forbidden"}))


def test_a_body_that_is_no_status_object_still_makes_a_bounded_sentence() -> None:
    assert "<html>" in str(error_of(CALL, 502, "<html>bad gateway"))
    assert len(str(error_of(CALL, 502, "x" * 100_000))) < 1300
    assert "HTTP 500" in str(error_of(CALL, 500, {}))


@pytest.mark.parametrize(
    ("header", "body", "expected"),
    [
        ("3", {}, 3.0),
        (None, {"details": {"retryAfterSeconds": 2}}, 2.0),
        (None, {"details": {}}, None),
        (None, "text", None),
        ("Wed, 21 Oct 2026 07:28:00 GMT", {}, None),
        ("soon", {"details": {"retryAfterSeconds": 2}}, 2.0),
        ("nan", {}, None),
        ("", {}, None),
        (None, {"details": {"retryAfterSeconds": {"seconds": 5}}}, None),
        (None, {"details": {"retryAfterSeconds": True}}, None),
        (None, {"details": ["retryAfterSeconds"]}, None),
    ],
)
def test_patience_is_read_from_header_or_body(
    header: str | None, body: object, expected: float | None
) -> None:
    assert patience_seconds(header, body) == expected


@pytest.mark.parametrize("asked", ["3600", "inf", "1e300", "9" * 5000, 31, 10**400, float("inf")])
def test_who_asks_for_long_patience_is_believed_for_half_a_minute(asked: str | float) -> None:
    assert (
        patience_seconds(
            str(asked) if isinstance(asked, str) else None, {"details": {"retryAfterSeconds": asked}}
        )
        == 30.0
    )


@pytest.mark.parametrize("asked", ["-1", "-inf", "0", "0.0001", "-" + "9" * 500])
def test_who_asks_for_none_is_not_asked_again_as_fast_as_the_network_allows(asked: str) -> None:
    assert patience_seconds(asked, {}) == 0.1


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 410, 422, 429, 500, 503])
@pytest.mark.parametrize(
    "message",
    [
        'admission webhook "limits.example" denied the request: set limits',
        'admission webhook "limits.example" denied the request without explanation',
        (
            "jobs.batch \"x\" is forbidden: ValidatingAdmissionPolicy 'limits' with binding 'all' denied"
            " request: set limits"
        ),
    ],
)
def test_what_a_policy_refuses_is_told_as_such_whatever_status_it_chose(status: int, message: str) -> None:
    error = error_of(CALL, status, {"kind": "Status", "message": message})
    assert isinstance(error, GiveUp)
    assert error.reason == "RefusedByPolicy"
    assert message in str(error)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            'Post "https://ada:pw@hook.shop.svc:443/k3y?token=t0p": dial tcp',
            'Post "https://hook.shop.svc:443": dial tcp',
        ),
        ("postgresql://ada:p@ss@db:5432/shop is no address", "postgresql://db:5432 is no address"),
        ("HTTPS://hook/path;a=b, again", "HTTPS://hook, again"),
        ("Authorization: Bearer abcdefghij.klm refused", "Authorization: ... ... refused"),
        ("sent bearer abcdefghij.klm", "sent bearer ..."),
        ('{"password": "hunter2", "user": "ada"}', '{"password": ..., "user": "ada"}'),
        ("DB_PASSWORD=hunter2 is not allowed", "DB_PASSWORD=... is not allowed"),
        (
            "spec.template: Invalid value: core.PodTemplateSpec{Env:{x: y}}: field is immutable",
            "spec.template: Invalid value: {...}: field is immutable",
        ),
        ("spec.volumes[0].secret: Required value", "spec.volumes[0].secret: Required value"),
        ('secrets "row" is forbidden: exceeded quota', 'secrets "row" is forbidden: exceeded quota'),
    ],
)
def test_the_servers_sentence_is_told_without_the_secrets_in_it(said: str, told: str) -> None:
    assert sentence({"message": said}) == told


def test_a_name_that_is_taken_is_another_conflict_than_one_beside_the_object() -> None:
    taken = error_of(CALL, 409, {"reason": "AlreadyExists", "message": 'jobs.batch "x" already exists'})
    quota = error_of(
        CALL, 409, {"reason": "Conflict", "message": "Operation cannot be fulfilled on resourcequotas"}
    )
    assert (type(taken), type(quota)) == (AlreadyExists, Conflict)
