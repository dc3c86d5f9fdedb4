"""First of the tier: what a new user does first."""

from subprocess import CompletedProcess

import pytest

pytestmark = [pytest.mark.cluster, pytest.mark.slow(180)]


@pytest.mark.timeout(3000)  # on a bare machine the programs of the cluster are compiled first
def test_the_demo_ends_with_every_figure_right(demo: "CompletedProcess[str]") -> None:
    assert demo.returncode == 0, f"{demo.stdout[-6000:]}\n{demo.stderr[-3000:]}"
    assert "every figure is right" in demo.stdout
    assert demo.stdout.count("  ok\n") >= 33, "the checks of both acts"
