"""Show which GPU which job has, and who waits."""

from collections.abc import Sequence

from manyseeds.core.arguments import verb_parser
from manyseeds.gpus.devices import allowed
from manyseeds.gpus.leases import registry


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return 0."""
    parser = verb_parser("gpus", __doc__, "")
    parser.parse_args(argv)
    devices, claims = allowed("auto"), registry().claims()
    keys = list(dict.fromkeys([*(device.key for device in devices), *(key for c in claims for key in c.granted)]))
    numbers = {device.key: str(device) for device in devices}
    for key in keys:
        holders = [f"{claim.who} (process {claim.pid})" for claim in claims if key in claim.granted]
        print(f"GPU {numbers.get(key, key)}: {', '.join(holders) or 'free'}")
    for claim in claims:
        if not claim.granted:
            print(f"waiting: {claim.who} (process {claim.pid})")
    if not keys:
        print("no GPU is visible here")
    return 0
