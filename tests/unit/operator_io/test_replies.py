"""Refusals of the API server become errors named by what the caller does next."""

import pytest

from rowlock_operator.cluster.kinds import DEPLOYMENTS, KUBE_JOBS, PODS, WORK_QUEUES
from rowlock_operator.cluster.replies import Call, WatchExpired, error_of, patience_seconds
from rowlock_operator.errors import ApiUnavailable, Conflict, Forbidden, GiveUp, NotFound, RowlockError

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
        (500, "failed to create typed patch object (shop/orders): .spec.x: field not declared in schema", GiveUp),
        (500, "etcdserver: request timed out", ApiUnavailable),
        (429, "too many requests", ApiUnavailable),
        (503, "apiserver is shutting down", ApiUnavailable),
        (418, "teapot", GiveUp),
    ],
)
def test_each_refusal_has_its_error_and_names_the_object(status: int, message: str, expected: type[RowlockError]) -> None:
    error = error_of(CALL, status, {"kind": "Status", "message": message})
    assert type(error) is expected
    assert "WorkQueue/shop/orders" in str(error)


@pytest.mark.parametrize(
    ("call", "rule"),
    [
        (CALL, 'verb "patch" on resource "workqueues/status" of API group "rowlock.dev" in namespace shop'),
        (Call("list", KUBE_JOBS, "shop"), 'verb "list" on resource "jobs" of API group "batch" in namespace shop'),
        (Call("watch", PODS, None), 'verb "watch" on resource "pods" of API group "" in the whole cluster (ClusterRole)'),
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
        ("-1", {}, 0.0),
    ],
)
def test_patience_is_read_from_header_or_body(header: str | None, body: object, expected: float | None) -> None:
    assert patience_seconds(header, body) == expected
