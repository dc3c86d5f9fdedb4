"""The program of docs/how-to/using-the-client.md, as it stands there."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.cli.stage import Worker

pytestmark = pytest.mark.integration
PAGE = Path(__file__).parents[3] / "docs/how-to/using-the-client.md"


def test_the_program_of_the_page_enqueues_explains_and_waits(database: str, worker: Worker) -> None:
    (program,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    program = program.replace("demo/invoices", "demo/documents")
    started = subprocess.Popen(
        [sys.executable, "-u", "-c", program, database], stdout=subprocess.PIPE, text=True
    )
    try:
        assert started.stdout is not None
        assert "with the key invoice-7: task print_invoice in demo/documents" in started.stdout.readline()
        worker.run("succeeded", result={"printed": 7})
        rest, _ = started.communicate(timeout=30)
    finally:
        started.kill()
    assert (rest.splitlines()[-1], started.returncode) == ("succeeded", 0)
