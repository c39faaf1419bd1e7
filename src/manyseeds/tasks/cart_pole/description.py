"""What tables and figures say of cart_pole, and how an episode is judged; needs no torch to be imported."""

from math import pi
from typing import Any

from manyseeds.core.description import Description, Map, Outcome, Start

DESCRIPTION = Description(
    summary="a cart on a rail balances a pole",
    starts=(Start("cart_position", "cart", "m"), Start("pole_angle", "pole angle", "rad")),
    outcomes=(
        Outcome(
            "balanced",
            "Balanced",
            "share",
            "the pole was upright at the last step, and the cart never left its range",
        ),
        Outcome("left", "Left the range", "share", "the cart left its range at some time", better="lower"),
        Outcome("settled_s", "Upright from", "measure", "from when on the pole was upright to the end", "s", "lower"),
        Outcome(
            "final_angle",
            "Final angle",
            "measure",
            "angle between the pole and the vertical at the last step",
            "rad",
            "lower",
            limit="success_angle",
        ),
    ),
    numbers={"success_angle": 0.1},
    maps=(Map("start: cart and pole angle", "cart_position", "pole_angle"),),
    episode_steps=300,
)


def pole_angle(cfg: Any, state: Any) -> Any:
    """Return the angle from upright to the pole, (..., n) rad, within a half turn; positive towards +x."""
    return (state.qpos[..., 1] + pi) % (2 * pi) - pi


def outside(cfg: Any, state: Any) -> Any:
    """Return whether the cart is out of its range, (..., n) bool."""
    return state.qpos[..., 0].abs() > cfg.cart_range


def judge(cfg: Any, trace: Any) -> dict[str, Any]:
    """Return the outcomes of played episodes, (n,) each."""
    angle, left = pole_angle(cfg, trace).abs(), outside(cfg, trace).any(0)
    upright = angle < cfg.success_angle
    return {
        "balanced": upright[-1] & ~left,
        "left": left,
        "settled_s": trace.first_time(upright.flip(0).int().cumprod(0).flip(0).bool()),
        "final_angle": angle[-1],
    }
