"""Lines of SQL end at column 120, as prose does."""

import subprocess

from tests.unit.docs.pages import ROOT

FOLDERS = ("ledger", "operator/rowlock_operator", "jobimages")


def test_no_line_of_sql_is_longer_than_120_columns() -> None:
    files = subprocess.check_output(["git", "ls-files", *FOLDERS], cwd=ROOT, text=True).splitlines()
    statements = [file for file in files if file.endswith(".sql")]
    assert len(statements) > 80
    long = [
        f"{file}:{number}"
        for file in statements
        for number, line in enumerate((ROOT / file).read_text().splitlines(), 1)
        if len(line) > 120
    ]
    assert long == []
