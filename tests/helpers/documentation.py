"""Commands that pages show."""

import re
from pathlib import Path


def commands(path: Path) -> list[str]:
    """Return the commands in the code blocks of a page, or in the comments of a script, each on one line.

    What `./docker/run_docker.sh` runs in a container is the command after it.
    """
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        blocks = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
        lines = "\n".join(block for language, block in blocks if language in ("", "sh", "bash"))
    else:
        lines = "\n".join(line.removeprefix("#") for line in text.splitlines() if line.startswith("#   "))
    joined = re.sub(r"\\\n\s*", "", lines)
    return [line.strip().removeprefix("./docker/run_docker.sh ") for line in joined.splitlines() if line.strip()]
