"""When a watch may go on from the version it has read."""

import pytest

from rowlock_operator.cluster.informer import Stream
from rowlock_operator.cluster.replies import HistoryReplaced


@pytest.mark.parametrize(
    ("read", "present"), [("500", "500"), ("500", "501"), ("", "1"), ("500", "x"), ("x", "1"), ("99", "100")]
)
def test_a_version_that_is_not_lower_is_of_the_same_history(read: str, present: str) -> None:
    Stream(None, resource_version=read).check(present)


@pytest.mark.parametrize(("read", "present"), [("500", "499"), ("100", "99")])
def test_a_lower_version_is_of_another_history_though_a_watch_from_the_higher_one_would_be_accepted(
    read: str, present: str
) -> None:
    with pytest.raises(HistoryReplaced):
        Stream(None, resource_version=read).check(present)
