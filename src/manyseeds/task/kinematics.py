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
        self._links = torch.cat((rotations, translations[:, :, None]), dim=2).contiguous()
        self._point = point

    def position(self, angles: Tensor, offset: Tensor | None = None) -> Tensor:
        """Return the point in the frame of the chain's base, (n, 3) in m, at joint angles (n, k) in rad.

        Args:
            angles: (n, k) rad.
            offset: (3,) in the last link's frame, m: the point next to it is meant instead.
        """
        # Coordinates are rows here: few, long operations are what torch does fast.
        joints = angles.t().contiguous()
        sin, cos = torch.sin(joints), torch.cos(joints)
        x, y, z = (self._point if offset is None else self._point + offset)[:, None].expand(3, len(angles))
        one = torch.ones_like(x)
        for i in reversed(range(len(joints))):
            turned = torch.stack((cos[i] * x - sin[i] * y, sin[i] * x + cos[i] * y, z, one))
            x, y, z = (self._links[i] @ turned).unbind()
        return torch.stack((x, y, z), dim=1)

    def double(self) -> "PointOnChain":
        """Return the same chain in float64."""
        links = self._links.double()
        return PointOnChain(links[:, :, :3], links[:, :, 3], self._point.double())
