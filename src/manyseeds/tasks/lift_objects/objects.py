"""The objects of lift_objects: their shapes, their masses' distribution, and how far they reach below their centre.

An object of size 1 has the lengths below; another size multiplies all of them. Its centre is its centre of mass, and it
stands on the table with its z axis up.
"""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Literal


@dataclass(frozen=True)
class Part:
    """A primitive of uniform density, as MuJoCo's geom.

    Attributes:
        geom: what it is.
        size: MuJoCo's three numbers of it, m: half sides; radius and half height; radius. Those it lacks are 0.
        height: of its centre above the lowest point of the object, m.
    """

    geom: Literal["box", "cylinder", "sphere"]
    size: tuple[float, float, float]
    height: float

    @property
    def volume(self) -> float:
        """m^3."""
        a, b, c = self.size
        volumes = {"box": 8 * a * b * c, "cylinder": 2 * math.pi * a * a * b, "sphere": 4 / 3 * math.pi * a**3}
        return volumes[self.geom]

    @property
    def squares(self) -> tuple[float, float, float]:
        """Mean of x^2, y^2 and z^2 over the part, about its centre, m^2."""
        a, b, c = self.size
        if self.geom == "box":
            return a * a / 3, b * b / 3, c * c / 3
        if self.geom == "cylinder":
            return a * a / 4, a * a / 4, b * b / 3
        return a * a / 5, a * a / 5, a * a / 5


@dataclass(frozen=True)
class Shape:
    """A kind of object, of size 1.

    Attributes:
        parts: what it is made of, the part that it stands on first.
        total: its height, m.
        grasp: height of the point that the hand should grasp, m.
        color: red, green, blue, 0 to 1.
    """

    parts: tuple[Part, ...]
    total: float
    grasp: float
    color: tuple[float, float, float]

    @cached_property
    def centre(self) -> float:
        """Height of the centre of mass, m."""
        volume = sum(part.volume for part in self.parts)
        return sum(part.volume * part.height for part in self.parts) / volume

    @cached_property
    def inertia(self) -> tuple[float, float, float]:
        """Moments of inertia of 1 kg of it about x, y and z through the centre, m^2."""
        volume = sum(part.volume for part in self.parts)
        shares = [part.volume / volume for part in self.parts]
        x, y, z = (sum(s * part.squares[i] for s, part in zip(shares, self.parts, strict=True)) for i in range(3))
        z += sum(s * (part.height - self.centre) ** 2 for s, part in zip(shares, self.parts, strict=True))
        return y + z, x + z, x + y

    @cached_property
    def reaches(self) -> tuple[float, float, float, float, float, float]:
        """What `lowest_point` needs: half sides in x and y, radius about z, length below and above, radius; m."""
        foot = self.parts[0]
        if foot.geom == "sphere":
            return 0.0, 0.0, 0.0, 0.0, 0.0, foot.size[0]
        below, above = self.centre, self.total - self.centre
        if foot.geom == "box":
            return foot.size[0], foot.size[1], 0.0, below, above, 0.0
        return 0.0, 0.0, foot.size[0], below, above, 0.0


SHAPES = {
    # The cube of lift_object.
    "cube": Shape((Part("box", (0.024, 0.024, 0.024), 0.024),), 0.048, 0.024, (0.9, 0.45, 0.12)),
    "cylinder": Shape((Part("cylinder", (0.022, 0.03, 0.0), 0.03),), 0.06, 0.03, (0.2, 0.5, 0.75)),
    "ball": Shape((Part("sphere", (0.025, 0.0, 0.0), 0.025),), 0.05, 0.025, (0.75, 0.2, 0.25)),
    # The fingertips reach 9 mm below the point between the pads, so a flat box is grasped a little above its middle.
    "flat_box": Shape((Part("box", (0.035, 0.024, 0.013), 0.013),), 0.026, 0.016, (0.45, 0.65, 0.3)),
    # The palm is 39 mm above that point, so a bottle is grasped at the upper end of its body.
    "bottle": Shape(
        (Part("cylinder", (0.022, 0.0275, 0.0), 0.0275), Part("cylinder", (0.01, 0.01, 0.0), 0.065)),
        0.075,
        0.045,
        (0.5, 0.4, 0.7),
    ),
}
KINDS = tuple(SHAPES)
"""The kinds, in the order of their numbers."""


def geom_names(kind: str) -> list[str]:
    """Return what the MJCF calls the parts of a kind."""
    return [f"{kind}_{i}" for i in range(len(SHAPES[kind].parts))]
