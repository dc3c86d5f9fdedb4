"""What Redis holds of a run for RQ's tools: plain values, in the one form that every one of them reads."""

import pickle
import pickletools
import zlib

import pytest

from rowlock_operator.transport.redis_queues import _DATA, RQ_FUNCTION

PLAIN = {"PROTO", "MARK", "BINUNICODE", "BINPUT", "NONE", "EMPTY_TUPLE", "EMPTY_DICT", "TUPLE", "STOP"}


def test_reading_the_data_of_a_run_makes_values_and_executes_nothing() -> None:
    pickled = zlib.decompress(_DATA)
    assert pickle.loads(pickled) == (RQ_FUNCTION, None, (), {})
    assert {opcode.name for opcode, _, _ in pickletools.genops(pickled)} <= PLAIN


@pytest.mark.parametrize("first", list("[ \t\r\n"))
def test_no_bytes_are_a_pickle_and_a_json_list(first: str) -> None:
    """Why one of the two had to be chosen: no pickle may begin with what may begin a JSON list."""
    with pytest.raises(pickle.UnpicklingError, match="invalid load key"):
        pickle.loads(first.encode() + pickle.dumps(1))
