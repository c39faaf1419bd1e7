"""Check an experiment file and print what it resolves to."""

from collections.abc import Sequence

from manyseeds.config.loading import load, schema_text
from manyseeds.core.arguments import verb_parser
from manyseeds.core.layout import RESULTS
from manyseeds.workflow.content import checked
from manyseeds.workflow.plan import Plan


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return 0."""
    parser = verb_parser("config", __doc__, "config.yaml")
    parser.add_argument(
        "config",
        nargs="*",
        default=["config.yaml"],
        help="the experiment file (config.yaml); of several, later ones win",
    )
    parser.add_argument("--schema", action="store_true", help="print the JSON schema of experiment files and end")
    arguments = parser.parse_args(argv)
    if arguments.schema:
        print(schema_text(), end="")
        return 0
    experiment = checked(load(arguments.config), arguments.config[-1])
    Plan(experiment, None, f"{RESULTS}/{experiment.experiment}", arguments.config[-1]).python(deployed=False)
    print(experiment.to_json(), end="")
    return 0
