"""Some of all environments: by their numbers where a CPU counts them, by a mask where a GPU must not wait for a count.

Both take the values of all `n` environments and give those of `len(rows)`: of the chosen ones, or of all with the
others ignored later.
"""

from abc import ABC, abstractmethod

import torch
from torch import Tensor


class Rows(ABC):
    """The environments that something concerns; `mask` is (n,) bool."""

    @abstractmethod
    def __init__(self, mask: Tensor) -> None: ...

    @abstractmethod
    def __len__(self) -> int:
        """Return how many rows values of these environments have."""

    @abstractmethod
    def take(self, values: Tensor) -> Tensor:
        """Return the values (len(self), ...) of these environments out of those of all, (n, ...)."""

    @abstractmethod
    def put(self, values: Tensor, new: Tensor | float) -> None:
        """Set the values of these environments in those of all, (n, ...), to `new`, (len(self), ...) or a number."""

    @abstractmethod
    def mean(self, values: Tensor) -> Tensor:
        """Return the mean of values that `take` gave over these environments; NaN if there are none."""


class Numbered(Rows):
    """Environments by their numbers, `ids` (k,); it waits for the device to count them."""

    def __init__(self, mask: Tensor) -> None:
        self.ids = mask.nonzero().flatten()

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, values: Tensor) -> Tensor:  # noqa: D102
        return values[self.ids]

    def put(self, values: Tensor, new: Tensor | float) -> None:  # noqa: D102
        values[self.ids] = new

    def mean(self, values: Tensor) -> Tensor:  # noqa: D102
        return values.mean(0)


class Masked(Rows):
    """Environments by a mask: nothing about them is known on the host."""

    def __init__(self, mask: Tensor) -> None:
        self.mask = mask

    def __len__(self) -> int:
        return len(self.mask)

    def take(self, values: Tensor) -> Tensor:  # noqa: D102
        return values

    def put(self, values: Tensor, new: Tensor | float) -> None:  # noqa: D102
        values.copy_(torch.where(self._like(values), new, values))

    def mean(self, values: Tensor) -> Tensor:  # noqa: D102
        return torch.where(self._like(values), values, 0.0).sum(0) / self.mask.sum()

    def _like(self, values: Tensor) -> Tensor:
        return self.mask.view(-1, *[1] * (values.dim() - 1))
