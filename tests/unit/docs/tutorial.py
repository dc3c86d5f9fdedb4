"""The tutorial as what a reader does: files to save and commands to run, in their order."""

import re
from dataclasses import dataclass

from tests.unit.docs.pages import Page

FOLDER = "~/weather"
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"`~/weather/([\w.]+)`:")


@dataclass(frozen=True)
class Step:
    """A file (`name` within FOLDER) or, where the name is empty, commands."""

    name: str
    text: str


def steps(page: Page) -> list[Step]:
    """Every block of shell, and every other block below a line that names its file."""
    found = []
    for block in _BLOCK.finditer(page.text):
        language, text = block.groups()
        above = page.text[: block.start()].rstrip().rpartition("\n")[2]
        file = _FILE.search(above) if language != "sh" else None
        if language == "sh" or file:
            found.append(Step(file[1] if file else "", text))
    return found
