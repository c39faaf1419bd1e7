"""What a reader may choose about the figures, and the panels that follow from it."""

from dataclasses import dataclass

from manyseeds.analysis.data import Data
from manyseeds.core.errors import UserError
from manyseeds.core.text import did_you_mean, flatten

# Widths in inch of one and of two columns of the usual two-column paper (IEEE: 3.5 and 7.16).
ONE_COLUMN = 3.5
TWO_COLUMNS = 7.16
WIDTHS = {"one": ONE_COLUMN, "two": TWO_COLUMNS}
BY_VARIANT = "variant"


@dataclass(frozen=True)
class Options:
    """What the command line of figures offers.

    Attributes:
        width: one of `WIDTHS`, for every figure; "" leaves it to the figure.
        panels: `BY_VARIANT` or a setting in which the variants differ, such as gamma: curves get a panel for each;
            "" draws all variants into one.
    """

    width: str = ""
    panels: str = ""

    def inches(self, usual: float) -> float:
        """The width of a figure that is `usual` inch wide where nothing is chosen."""
        return WIDTHS.get(self.width, usual)

    def columns(self, panels: int, usual: int) -> int:
        """How many panels go side by side; fewer in a narrow figure."""
        most = (2 if panels > 3 else 1) if self.width == "one" else usual
        return max(1, min(panels, most))


DEFAULT = Options()


def panel_groups(data: Data, panels: str) -> list[tuple[str, list[str]]]:
    """The title and the variants of each panel.

    Args:
        data: the experiment.
        panels: `Options.panels`.

    Raises:
        UserError: when the variants do not differ in such a setting.
    """
    if not panels:
        return [("", data.variants)]
    if panels == BY_VARIANT:
        return [(data.label(variant), [variant]) for variant in data.variants]
    settings = {variant: flatten(data.folder.settings.get(variant, {})) for variant in data.variants}
    keys = dict.fromkeys(key for own in settings.values() for key in own)
    differing = [key for key in keys if len({repr(own.get(key)) for own in settings.values()}) > 1]
    meant = [key for key in differing if key == panels or key.endswith(f".{panels}")]
    if len(meant) != 1:
        known = [BY_VARIANT, *(meant or differing)]
        raise UserError(
            f"{data.folder.folder}: --panels is {panels!r}{did_you_mean(panels, known)}; it must be "
            + " or ".join(known)
            + ("" if meant else " (settings in which the variants differ)")
        )
    groups: dict[str, list[str]] = {}
    for variant, own in settings.items():
        groups.setdefault(f"{panels} = {_text(own.get(meant[0]))}", []).append(variant)
    return list(groups.items())


def _text(value: object) -> str:
    return "not set" if value is None else " x ".join(map(str, value)) if isinstance(value, list) else str(value)
