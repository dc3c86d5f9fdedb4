"""How the soak (tests/proof/soak.py) judges what it has seen."""

import pytest

from tests.proof.soak import growth, is_flat


def test_what_grows_and_what_only_swings_are_told_apart() -> None:
    at = [float(second) for second in range(40)]
    leak = [50 + 0.5 * second for second in at]
    saw = [50 + 20 * (second % 7) / 7 for second in at]
    settled = [min(10 * second, 60.0) for second in at]
    assert growth(at, leak) == pytest.approx(0.5 * 19)
    assert not is_flat("parent_mb", at, leak)
    assert is_flat("child_mb", at, saw)
    assert is_flat("parent_mb", at, settled)
    assert is_flat("parent_descriptors", at, [22.0] * 40)
    assert not is_flat("parent_descriptors", at, [22.0 + second // 4 for second in at])
