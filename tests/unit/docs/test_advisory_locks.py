"""Each advisory lock that the product takes has a name in rowlock_ledger.locks and a line in
docs/contracts.md, and no other has.
"""

import re
import subprocess

from rowlock_ledger.locks import LOCKS
from tests.unit.docs.pages import ROOT, page

_TAKEN = re.compile(r"pg_(?:try_)?advisory_\w*lock\w*\((77\d\d),\s*(\d+|\w+\([\w.]+\))\)")
_TOLD = re.compile(r"^\| `\((77\d\d), (\d+|\w+\([\w.]+\))\)` \| ([^|]+) \|", re.MULTILINE)


def test_every_advisory_lock_is_told_with_its_holder() -> None:
    files = subprocess.check_output(
        ["git", "ls-files", "ledger", "operator", "jobimages", "charts"], cwd=ROOT, text=True
    )
    taken = {
        (number, key.replace("m.owner", "owner"))
        for file in files.splitlines()
        if file.endswith((".sql", ".py"))
        for number, key in _TAKEN.findall((ROOT / file).read_text(encoding="utf-8"))
    }
    assert ("7700", "1") in taken, "the pattern finds them"
    named = [(str(lock.space), lock.key, lock.holder) for lock in LOCKS]
    assert {(space, key) for space, key, _ in named} == taken
    assert _TOLD.findall(page("docs/contracts.md").text) == named
