"""Play a policy in a browser or in a window: pause, drag the target, pull what moves, change the checkpoint."""

import argparse
import os
import threading
from collections.abc import Sequence
from pathlib import Path

from manyseeds.core.arguments import verb_parser
from manyseeds.core.errors import UserError
from manyseeds.core.packages import missing
from manyseeds.learning import foreign


def main(argv: Sequence[str] | None = None) -> int:
    """Play until the user ends it; return 0."""
    parser = verb_parser(
        "play", __doc__, "results/lift_object\nresults/lift_object/default/seed_1/model_350.pt --window"
    )
    parser.add_argument("run", type=Path, help="folder of a run, a variant or an experiment, or a checkpoint")
    parser.add_argument("--beside", type=Path, metavar="RUN", help="play a second policy beside the first")
    parser.add_argument("--window", action="store_true", help="open MuJoCo's viewer instead; needs a screen")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen at: this machine only")
    parser.add_argument("--port", type=int, default=8080, help="port to listen at, or the next free one; 0: any")
    parser.add_argument("--episode", type=int, default=0, help="evaluation episode, as in episodes.csv")
    parser.add_argument("--speed", type=float, default=1.0, help="seconds of simulation in a second")
    foreign.add_flag(parser)
    args = parser.parse_args(argv)
    foreign.allow(args.allow_code)
    _check(args)
    from manyseeds.simulators.rendering import choose_renderer

    choose_renderer()  # before anything imports MuJoCo
    from manyseeds.evaluation.player.player import Player

    player = Player([path for path in (args.run, args.beside) if path], args.episode, args.speed)
    try:
        if args.window:
            from manyseeds.evaluation.player.window import show

            show(player)
        else:
            from manyseeds.evaluation.player.browser import serve

            serve(player, args.host, args.port, _tell, threading.Event())
    except KeyboardInterrupt:
        print()
    finally:
        player.close()
    return 0


def _check(args: argparse.Namespace) -> None:
    """Check what was given, and that this machine can show it."""
    if args.episode < 0:
        raise UserError(f"--episode is {args.episode}; it must be at least 0.")
    if not 0.01 <= args.speed <= 100:
        raise UserError(f"--speed is {args.speed}; it must be between 0.01 and 100.")
    if not 0 <= args.port <= 65535:
        raise UserError(f"--port is {args.port}; it must be between 0 and 65535.")
    if args.window:
        return
    if problem := missing(["viser"]):
        raise UserError(f"{problem}; without it there is --window.")


def _tell(address: str) -> None:
    print(f"Open {address} in a browser. Ctrl+C ends.", flush=True)
    if "SSH_CONNECTION" in os.environ:
        port = address.rsplit(":", 1)[1]
        print(f"From your own machine, first: ssh -N -L {port}:127.0.0.1:{port} THIS_MACHINE", flush=True)
