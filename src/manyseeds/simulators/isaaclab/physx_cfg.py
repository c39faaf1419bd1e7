"""The same environment with PhysX, which needs Isaac Sim. Written to Isaac Lab's documentation and not run here."""

from isaaclab.utils import configclass
from isaaclab_physx.physics import PhysxCfg
from isaaclab_physx.sim.schemas import PhysxRigidBodyCfg

from manyseeds.simulators.base import load_model
from manyseeds.simulators.isaaclab import physics
from manyseeds.simulators.isaaclab.env_cfg import LiftObjectEnvCfg
from manyseeds.tasks.lift_object import task


@configclass
class LiftObjectPhysxEnvCfg(LiftObjectEnvCfg):
    """lift_object with PhysX: what Newton reads from `mjc:` attributes is said in PhysX's words where it has them."""

    def set_task(self, cfg: task.LiftObjectCfg) -> None:  # noqa: D102
        super().set_task(cfg)
        gains = physics.gains(load_model(cfg))
        self.sim.physics = PhysxCfg(bounce_threshold_velocity=0.01, friction_correlation_distance=0.00625)
        self.scene.robot.spawn.articulation_props = None
        self.scene.robot.spawn.rigid_props = PhysxRigidBodyCfg(disable_gravity=True)
        # Both brake a joint in proportion to its speed; PhysX has no other place for the joint's own.
        actuator = self.scene.robot.actuators["all"]
        actuator.damping = {name: gains["damping"][name] + gains["passive_damping"][name] for name in gains["damping"]}
