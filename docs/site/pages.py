"""Collect the pages of the documentation in one folder, from which `make docs` builds the site.

The pages in docs/ are written for GitHub: their links lead to files of the repository. Here such a link leads to the
page that is made of that file.
"""

import argparse
import os
import re
import shutil
import sys
from pathlib import Path

import reference

REPOSITORY = Path(__file__).resolve().parents[2]
ELSEWHERE = {
    "README.md": "index.md",
    "results/README.md": "reference/results.md",
    "benchmarks/README.md": "measurements.md",
    "CHANGELOG.md": "changelog.md",
}
"""Pages outside docs/, and where they stand in the site."""
LANGUAGES = {".cff": "yaml", ".csv": "text", ".json": "json", ".py": "python", ".sh": "bash", ".yaml": "yaml"}
LINK = re.compile(r"(!?\[[^\]]*\]\()([^)\s]+)(\))")
OUTSIDE = re.compile(r"[a-z]+:|#")


def collect(folder: Path) -> list[str]:
    """Write all pages and what they show below a folder, which is made anew.

    Returns:
        A sentence for each link that leads nowhere.
    """
    shutil.rmtree(folder, ignore_errors=True)
    sources = {f"docs/{path.name}": path.name for path in sorted((REPOSITORY / "docs").glob("*.md"))} | ELSEWHERE
    texts = {source: (REPOSITORY / source).read_text(encoding="utf-8") for source in sources}
    made = {f"docs/reference/{name}": text for name, text in reference.pages().items()}
    sources |= {source: source.removeprefix("docs/") for source in made}
    broken: list[str] = []
    for source, text in (texts | made).items():
        page = _with_links(text, source, sources, folder, broken)
        _write(folder / sources[source], page)
    shutil.copy(Path(__file__).with_name("iframe-worker.js"), folder)
    return broken


def _with_links(text: str, source: str, sources: dict[str, str], folder: Path, broken: list[str]) -> str:
    """Return a page whose links lead to pages and files below `folder`; what is not yet there is put there."""
    here = Path(sources[source]).parent

    def link(match: re.Match[str]) -> str:
        before, target, after = match.groups()
        if OUTSIDE.match(target):
            return match[0]
        name, hash_, anchor = target.partition("#")
        path = os.path.normpath(Path(source).parent / name)
        place = sources.get(path) or _placed(path, folder)
        if place is None:
            broken.append(f"{source}: the link {target} leads to {path}, which does not exist")
            return match[0]
        return f"{before}{os.path.relpath(place, here)}{hash_}{anchor}{after}"

    blocks = re.split(r"(^```.*?^```$)", text, flags=re.M | re.S)
    return "".join(block if block.startswith("```") else LINK.sub(link, block) for block in blocks)


def _placed(path: str, folder: Path) -> str | None:
    """Return where a file of the repository stands below `folder`: an image as it is, anything else as a page."""
    origin = REPOSITORY / path
    if origin.suffix in (".gif", ".png", ".svg", ".webp", ".mp4"):
        if not origin.is_file():
            return None
        (folder / "files" / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(origin, folder / "files" / path)
        return f"files/{path}"
    if origin.is_dir():
        names = sorted(f"{item.name}/" if item.is_dir() else item.name for item in origin.iterdir())
        text, language = "\n".join(name for name in names if name != "__pycache__/"), "text"
    elif origin.is_file():
        text, language = origin.read_text(encoding="utf-8").rstrip(), LANGUAGES.get(origin.suffix, "text")
    else:
        return None
    page = f"files/{path}.md"
    _write(folder / page, f"---\nsearch: {{exclude: true}}\n---\n# {path}\n\n~~~~{language}\n{text}\n~~~~\n")
    return page


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def main() -> int:
    """Run the command line; return 0, or 1 with a sentence for each broken link."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="where the pages are written")
    broken = collect(parser.parse_args().folder)
    print("\n".join(f"error: {sentence}" for sentence in broken), end="\n" if broken else "", file=sys.stderr)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
