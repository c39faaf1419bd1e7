"""Forward kinematics of a chain of revolute joints, for one point: much cheaper than a simulator's position stage."""

import torch
from torch import Tensor


class PointOnChain:
    """A point fixed to the last link of a chain whose joints turn about their z axes.

    Args:
        rotations: (k, 3, 3) orientation of link i in the frame of link i - 1 at joint angle 0.
        translations: (k, 3) origin of link i in the frame of link i - 1, m.
        point: (3,) the point in the last link's frame, m.
    """

    def __init__(self, rotations: Tensor, translations: Tensor, point: Tensor) -> None:
        self._transposed = rotations.transpose(1, 2).contiguous()
        self._translations = translations
        self._point = point

    def position(self, angles: Tensor, offset: Tensor | None = None) -> Tensor:
        """Return the point in the frame of the chain's base, (n, 3) in m, at joint angles (n, k) in rad.

        Args:
            angles: (n, k) rad.
            offset: (3,) in the last link's frame, m: the point next to it is meant instead.
        """
        sin, cos = torch.sin(angles), torch.cos(angles)
        point = (self._point if offset is None else self._point + offset).expand(len(angles), 3)
        for i in reversed(range(angles.shape[1])):
            x, y, z = point.unbind(1)
            turned = torch.stack((cos[:, i] * x - sin[:, i] * y, sin[:, i] * x + cos[:, i] * y, z), dim=1)
            point = torch.addmm(self._translations[i], turned, self._transposed[i])
        return point

    def double(self) -> "PointOnChain":
        """Return the same chain in float64."""
        return PointOnChain(
            self._transposed.double().transpose(1, 2), self._translations.double(), self._point.double()
        )
