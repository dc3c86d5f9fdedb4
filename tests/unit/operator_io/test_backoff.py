"""How often what is refused is tried again."""

from rowlock_operator.dispatch.backoff import Backoffs
from rowlock_operator.observed.queues import Trouble

NO = Trouble(reason="RefusedByPolicy", message="no")


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_pauses_grow_from_a_second_to_a_minute_and_begin_anew_once_it_worked() -> None:
    clock, pauses = Clock(), []
    backoffs = Backoffs[str](clock=clock)
    assert backoffs.left("a") == 0
    for _ in range(8):
        backoffs.failed("a", NO)
        pauses.append(backoffs.left("a"))
        clock.now += backoffs.left("a")
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60]
    assert backoffs.left("a") == 0
    assert backoffs.trouble("a") == NO, "until it works"
    backoffs.worked("a")
    backoffs.failed("a", NO)
    assert backoffs.left("a") == 1


def test_tries_of_the_same_moment_count_as_one_and_other_keys_are_not_meant() -> None:
    backoffs = Backoffs[str](clock=Clock())
    for _ in range(5):
        backoffs.failed("a", NO)
    assert (backoffs.left("a"), backoffs.left("b"), backoffs.trouble("b")) == (1, 0, None)


def test_something_else_is_tried_at_once_and_has_a_backoff_of_its_own() -> None:
    clock = Clock()
    backoffs = Backoffs[str](clock=clock)
    for _ in range(3):
        backoffs.failed("a", NO, version=1)
        clock.now += backoffs.left("a", version=1)
    assert backoffs.left("a", version=2) == 0
    backoffs.failed("a", NO, version=2)
    assert backoffs.left("a", version=2) == 1
