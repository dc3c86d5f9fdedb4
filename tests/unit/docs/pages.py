"""The Markdown pages of this repository, and what is written in them."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[3]
FOLDERS = ("docs", "charts", "tools")
_FENCE = re.compile(
    r"^(?P<indent> *)```(?P<language>\w*)\n(?P<text>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL
)
_LINK = re.compile(r"(?<!!)\[[^]\n]*\]\(([^)\s]+)\)")
_CODE = re.compile(r"`([^`\n]+)`")


@dataclass(frozen=True)
class Page:
    """One page; `name` is its path from the root."""

    name: str
    text: str

    @property
    def prose(self) -> str:
        """The text without its code blocks."""
        return _FENCE.sub("", self.text)

    @property
    def links(self) -> list[str]:
        """Targets of links, those of other sites left out."""
        return [target for target in _LINK.findall(self.prose) if "://" not in target]

    @property
    def spans(self) -> list[str]:
        """Code within a sentence."""
        return _CODE.findall(self.prose)

    def blocks(self, *languages: str) -> list[str]:
        """Code blocks in one of these languages, without the indent of their fence."""
        found = [match for match in _FENCE.finditer(self.text) if match["language"] in languages]
        return [
            "".join(line.removeprefix(match["indent"]) for line in match["text"].splitlines(keepends=True))
            for match in found
        ]

    @property
    def commands(self) -> list[str]:
        """Lines of shell blocks and code within sentences: where commands stand."""
        return [
            line.split(" #")[0].strip() for block in self.blocks("sh") for line in block.splitlines()
        ] + self.spans

    def table(self, heading: str) -> list[list[str]]:
        """Cells of the first table below a heading, without its head."""
        below = self.text.split(f"\n{heading}\n", 1)[1]
        lines = [line for line in below.split("\n## ", 1)[0].splitlines() if line.startswith("|")]
        return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def page(name: str) -> Page:
    return Page(name, (ROOT / name).read_text(encoding="utf-8"))


def pages() -> list[Page]:
    """Every page that is ours: those of the root and of FOLDERS."""
    found = [*ROOT.glob("*.md"), *(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.md"))]
    return [page(str(path.relative_to(ROOT))) for path in sorted(found)]
