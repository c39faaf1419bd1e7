"""RSL-RL's PPO with the same mathematics and faster code, plus schedules and an average of the actor.

The rollout stores only what sampling needs, and evaluates critic and log probabilities once for all steps. The update
computes the gradients of the two multilayer perceptrons by hand, without autograd, on contiguous mini-batches, in
float32 or with bfloat16 matrix products. Checkpoints have the format of RSL-RL's PPO.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor, distributed, nn

from manyseeds.core.errors import UserError
from manyseeds.core.text import shown
from manyseeds.learning.adam import Adam
from manyseeds.learning.parallel import CHUNK, Map, elu, one_by_one
from manyseeds.learning.rsl_rl import MLPModel, algorithms
from manyseeds.simulators.vec_env import TensorDict, replaced

_LOG_SQRT_2PI = 0.5 * math.log(2 * math.pi)

Weights = list[tuple[Tensor, Tensor]]
"""Weight and bias of every layer."""
Gradients = list[tuple[Tensor, Tensor]]
"""Gradients of weight and bias of every layer, in float32."""
Transform = Callable[[Tensor], Tensor]


def unsupported(agent: Mapping[str, Any]) -> str | None:
    """Say which value of an agent's complete configuration this PPO cannot compute with; None if it can with all.

    Args:
        agent: from `learning.agent.resolve_agent`.
    """
    noise = agent["actor"]["distribution_cfg"]
    values = [
        *((f"{role}.class_name", agent[role]["class_name"], "MLPModel") for role in ("actor", "critic")),
        *((f"{role}.activation", agent[role]["activation"], "elu") for role in ("actor", "critic")),
        ("actor.distribution_cfg.class_name", noise["class_name"], "GaussianDistribution"),
        ("actor.distribution_cfg.std_type", noise.get("std_type"), "scalar"),
        ("actor.distribution_cfg.learn_std", noise.get("learn_std"), True),
        ("algorithm.optimizer", agent["algorithm"]["optimizer"], "adam"),
        (
            "algorithm.normalize_advantage_per_mini_batch",
            agent["algorithm"]["normalize_advantage_per_mini_batch"],
            False,
        ),
    ]
    for key, value, needed in values:
        if value != needed:
            return f"{key} is {shown(value)}; manyseeds' PPO needs {shown(needed)}"
    return None


class PPO(algorithms.PPO):
    """Proximal policy optimization with two ELU perceptrons and a Gaussian policy, one standard deviation per action.

    Schulman et al., arXiv:1707.06347. It takes the arguments of `rsl_rl.algorithms.PPO` that apply to such a policy.
    Without schedules it computes the same update to float precision (a test compares the two).

    Args:
        entropy_coef_final: weight of the entropy bonus at the end of the annealing; None keeps `entropy_coef`.
        desired_kl_final: target of the adaptive learning rate at the end of the annealing; None keeps `desired_kl`.
        max_std_final: upper bound of the action's standard deviations at the end of the annealing, which falls linearly
            from `max_std`; None means no bound.
        max_std: the bound at the start of the annealing.
        critic_learning_rate: fixed learning rate of the critic; None uses the actor's rate, which `desired_kl` keeps
            small to limit changes of the policy.
        init_std: standard deviations that the actions start with: a number, or a list with one per action; None leaves
            those of the actor's distribution.
        ema_decay: decay per iteration of the exponential moving average of the actor's parameters (Polyak and Juditsky,
            10.1137/0330046). Checkpoints store the average as the actor, so evaluations use it; training does not.
            None means no average.
        mirror_augmentation: learn from the mirror images of the rollout, too. In every epoch one half of each
            mini-batch is mirrored, in the next epoch the other half, so that an update takes no longer. RSL-RL's
            `symmetry_cfg` (arXiv:2403.04359) has both in every epoch. As there, an image has the importance ratio of
            its original, and only originals count in the divergence.
        anneal_start: iteration at which the annealing starts.
        anneal_end: iteration at which it ends; not a share of the run, so that a longer run starts in the same way.

    Raises:
        ValueError: for a model or an option that this class does not support.
        UserError: when the length of `init_std` is not the number of actions.
    """

    RANGES: ClassVar = {
        "entropy_coef_final": (0.0, None),
        "desired_kl_final": (0.0, None),
        "max_std": (1e-3, None),
        "max_std_final": (1e-3, None),
        "critic_learning_rate": (1e-6, None),
        "init_std": (1e-3, None),
        "ema_decay": (0.0, 0.9999),
        "anneal_start": (0, None),
        "anneal_end": (1, None),
    }

    map: Map = staticmethod(one_by_one)
    """How chunks of rows are computed: on one thread, or on several."""

    optimizer: torch.optim.Optimizer
    learning_rate: float
    entropy_coef: float
    desired_kl: float

    iteration: int = 0
    """Completed iterations, which the training loop sets; the schedules depend on it."""

    mirror: tuple[Transform, Transform] | None = None
    """What observations (..., o) and actions (..., a) are in a mirror; `mirror_augmentation` needs it."""

    def __init__(
        self,
        actor: MLPModel,
        critic: MLPModel,
        *args: Any,
        entropy_coef_final: float | None = None,
        desired_kl_final: float | None = None,
        max_std: float = 1.0,
        max_std_final: float | None = None,
        critic_learning_rate: float | None = None,
        init_std: float | list[float] | None = None,
        ema_decay: float | None = None,
        mirror_augmentation: bool = False,
        anneal_start: int = 0,
        anneal_end: int = 1,
        **kwargs: Any,
    ) -> None:
        if kwargs.get("optimizer", "adam") != "adam":
            raise ValueError("manyseeds' PPO supports only the optimizer 'adam'")
        with replaced(torch.optim, Adam=Adam):  # RSL-RL makes one, too
            super().__init__(actor, critic, *args, **kwargs)
        if self.rnd or self.symmetry or self.normalize_advantage_per_mini_batch:
            raise ValueError("manyseeds' PPO does not support rnd, symmetry or normalization per mini-batch")
        self._actor_layers, self._critic_layers = _linear_layers(actor), _linear_layers(critic)
        if not hasattr(actor.distribution, "std_param"):
            raise ValueError("manyseeds' PPO needs a GaussianDistribution with std_type 'scalar'")
        if init_std is not None:
            _set_std(actor.distribution.std_param, init_std)
        groups: list[dict[str, Any]] = [{"params": self.optimizer.param_groups[0]["params"]}]
        if critic_learning_rate is not None:
            groups = [
                {"params": list(actor.parameters())},
                {"params": list(critic.parameters()), "lr": critic_learning_rate},
            ]
        self.optimizer = Adam(groups, lr=self.learning_rate, fused=True)
        self._start: dict[str, float] = {
            "entropy_coef": self.entropy_coef,
            "desired_kl": self.desired_kl,
            "max_std": max_std,
        }
        self._final: dict[str, float | None] = {
            "entropy_coef": entropy_coef_final,
            "desired_kl": desired_kl_final,
            "max_std": max_std_final,
        }
        self._anneal = (anneal_start, anneal_end)
        self._ema_decay = ema_decay
        self._average: dict[str, Tensor] | None = None
        self._time_outs: list[Tensor] = []
        self.mirror_augmentation = mirror_augmentation

    # Rollout.

    def act(self, obs: TensorDict) -> Tensor:
        """Sample actions (num_envs, num_actions) for observations (num_envs, ...)."""
        st = self.storage
        mean = self.actor(obs)
        if st.distribution_params is None:
            st.distribution_params = (torch.zeros_like(st.actions), torch.zeros_like(st.actions))
        st.observations[st.step].copy_(obs)
        st.distribution_params[0][st.step] = mean
        torch.addcmul(mean, torch.randn_like(mean), self._std(), out=st.actions[st.step])
        return st.actions[st.step]

    def process_env_step(self, obs: TensorDict, rewards: Tensor, dones: Tensor, extras: dict) -> None:
        """Store the step's rewards and dones; `compute_returns` adds the values."""
        st = self.storage
        st.rewards[st.step, :, 0] = rewards
        st.dones[st.step, :, 0] = dones
        self._time_outs.append(extras["time_outs"])
        st.step += 1

    def compute_returns(self, obs: TensorDict) -> None:
        """Evaluate the rollout: values, log probabilities, generalized advantages (arXiv:1506.02438)."""
        st = self.storage
        std = self._std()
        st.distribution_params[1][:] = std
        st.actions_log_prob[..., 0] = _log_prob((st.actions - st.distribution_params[0]) / std, std)
        st.values[:] = self.critic(st.observations)
        # A timed-out episode would go on: add the value of the rest to its last reward.
        st.rewards[..., 0] += self.gamma * st.values[..., 0] * torch.stack(self._time_outs)
        self._time_outs = []
        super().compute_returns(obs)

    def _std(self) -> Tensor:
        distribution = self.actor.distribution
        return distribution.std_param.detach().clamp(*distribution.std_range)

    # Update.

    @torch.no_grad()
    def update(self) -> dict[str, float]:
        """Run the epochs over the rollout; return the mean losses."""
        self._apply_schedules()
        st, size = self.storage, self.storage.num_envs * self.storage.num_transitions_per_env
        batch = size // self.num_mini_batches
        order = torch.randperm(batch * self.num_mini_batches, device=self.device)
        dtype = torch.bfloat16 if self.use_mixed_precision else torch.float32
        old_mean, old_std = st.distribution_params
        seen = [st.observations]
        originals = self._samples(st.observations, st.actions, old_mean, order, dtype)
        if self.mirror_augmentation:
            assert self.mirror is not None
            of_observations, of_actions = self.mirror
            seen.append(st.observations.clone())
            seen[1]["policy"] = of_observations(st.observations["policy"])
            images = self._samples(seen[1], of_actions(st.actions), of_actions(old_mean), order, dtype)
            versions = _half_mirrored(originals, images)
        else:
            versions = [[*originals, torch.ones_like(originals[-1])]]
        sums = torch.zeros(3, device=self.device)
        for epoch in range(self.num_learning_epochs):
            samples = versions[epoch % len(versions)]
            for k in range(self.num_mini_batches):
                rows = slice(k * batch, (k + 1) * batch)
                sums += self._step([x[rows] for x in samples], old_std[0, 0], dtype)
        for model in (self.actor, self.critic):
            for observations in seen:
                model.update_normalization(observations.flatten(0, 1))
        self._update_average()
        self.actor.distribution.update(st.distribution_params[0][-1])  # what `output_std` reports
        st.clear()
        value, surrogate, entropy = (sums / (self.num_learning_epochs * self.num_mini_batches)).tolist()
        return {"value": value, "surrogate": surrogate, "entropy": entropy}

    def _samples(
        self, observations: TensorDict, actions: Tensor, old_mean: Tensor, order: Tensor, dtype: torch.dtype
    ) -> list[Tensor]:
        """Return the columns of all samples, (samples, ...) each, in the order given.

        They are the inputs of actor and critic, the action, its old mean and log probability, advantage, old value and
        return.
        """
        st = self.storage
        inputs = [model.get_latent(observations).to(dtype) for model in (self.actor, self.critic)]
        values = (st.actions_log_prob, st.advantages, st.values, st.returns)
        return [x.flatten(0, 1)[order] for x in (*inputs, actions, old_mean, *values)]

    def _step(self, samples: list[Tensor], old_std: Tensor, dtype: torch.dtype) -> Tensor:
        """Take one optimizer step on a mini-batch; return its value loss, surrogate loss and entropy, (3,)."""
        actor_in, critic_in, actions, old_mean, old_log_prob, advantages, old_values, returns, kl_weight = samples
        n, std = len(actions), self._std()
        actor, critic = _weights(self._actor_layers, dtype), _weights(self._critic_layers, dtype)
        learn_actor, learn_critic = partial(self._learn_actor, actor, std, n), partial(self._learn_critic, critic, n)
        actor_data = (actor_in, actions, old_mean, old_log_prob, advantages, kl_weight)
        rows = CHUNK if actions.is_cpu else n  # a GPU computes all rows at once
        work = [(learn_actor, chunk) for chunk in _chunks(rows, *actor_data)]
        work += [(learn_critic, chunk) for chunk in _chunks(rows, critic_in, old_values, returns)]
        done = self.map(lambda task: task[0](*task[1]), work)
        actor_done, critic_done = done[: len(done) // 2], done[len(done) // 2 :]
        sums = torch.stack([sums for _, sums in actor_done]).sum(0)
        surrogate, d_log_prob, change, d_log_prob_z2 = sums.split([1, 1, len(std), len(std)])
        value_loss = torch.stack([loss for _, loss in critic_done]).sum(0)

        if self.desired_kl is not None and self.schedule == "adaptive":
            self._adapt_learning_rate(_divergence(change, old_std, std))
        _set_gradients(self._actor_layers, [gradients for gradients, _ in actor_done])
        _set_gradients(self._critic_layers, [gradients for gradients, _ in critic_done])
        self.actor.distribution.std_param.grad = (d_log_prob_z2 - d_log_prob - self.entropy_coef) / std
        if self.is_multi_gpu:
            self.reduce_parameters()
        nn.utils.clip_grad_norm_(self.actor.parameters(), self.max_grad_norm)
        nn.utils.clip_grad_norm_(self.critic.parameters(), self.max_grad_norm)
        self.optimizer.step()
        self._bound_std()
        entropy = (std.log() + 0.5 + _LOG_SQRT_2PI).sum()
        return torch.stack((value_loss, surrogate[0], entropy))

    @torch.no_grad()
    def _learn_actor(
        self,
        weights: Weights,
        std: Tensor,
        n: int,
        x: Tensor,
        actions: Tensor,
        old_mean: Tensor,
        old_log_prob: Tensor,
        advantages: Tensor,
        kl_weight: Tensor,
    ) -> tuple[Gradients, Tensor]:
        """Return a chunk's share of the mini-batch's gradients and of four means over the `n` rows.

        The means, in one tensor: surrogate loss, (1,); its derivative with respect to the log probability, (1,);
        squared change of the mean, weighted by `kl_weight`, (actions,); the derivative times the squared standardized
        action, (actions,).
        """
        activations, mean = _forward(weights, x)
        # Surrogate: max(-A r, -A clip(r)). Its gradient is -A r where the unclipped term is the larger one, else 0.
        z = (actions - mean) / std
        ratio = torch.exp(_log_prob(z, std)[:, None] - old_log_prob)
        plain = advantages * ratio
        clipped = advantages * ratio.clamp(1 - self.clip_param, 1 + self.clip_param)
        loss = torch.minimum(plain, clipped).neg_()
        d_log_prob = torch.where(plain <= clipped, loss, 0.0)
        weighted = d_log_prob * z
        change = (old_mean - mean).square_().mul_(kl_weight)
        columns = torch.cat((loss, d_log_prob, change, weighted * z), dim=1)
        return _backward(weights, activations, weighted.div_(std * n)), columns.sum(0) / n

    @torch.no_grad()
    def _learn_critic(
        self, weights: Weights, n: int, x: Tensor, old_values: Tensor, returns: Tensor
    ) -> tuple[Gradients, Tensor]:
        """Return a chunk's share of the mini-batch's gradients and of the value loss."""
        activations, values = _forward(weights, x)
        error = values - returns
        losses = error.square()
        if self.use_clipped_value_loss:
            change = values - old_values
            clipped_error = old_values + change.clamp(-self.clip_param, self.clip_param) - returns
            free = (change.abs() <= self.clip_param) | (losses >= clipped_error.square())
            losses = torch.maximum(losses, clipped_error.square())
            error = torch.where(free, error, 0.0)
        d_values = error * (2 * self.value_loss_coef / n)
        return _backward(weights, activations, d_values), losses.sum() / n

    def _adapt_learning_rate(self, kl: Tensor) -> None:
        """Adapt the learning rate to `desired_kl` as RSL-RL does, from the mini-batch's KL(old || new), ()."""
        if self.is_multi_gpu:
            distributed.all_reduce(kl)
        kl_mean = kl.item() / self.gpu_world_size
        if kl_mean > self.desired_kl * 2.0:
            self.learning_rate = max(1e-5, self.learning_rate / 1.5)
        elif 0.0 < kl_mean < self.desired_kl / 2.0:
            self.learning_rate = min(1e-2, self.learning_rate * 1.5)
        # Only the first group adapts; the second, if any, is the critic with its fixed rate.
        self.optimizer.param_groups[0]["lr"] = self.learning_rate

    # Averaging.

    def _update_average(self) -> None:
        if self._ema_decay is None:
            return
        actor = self._raw_actor.state_dict()
        if self._average is None:
            self._average = {name: tensor.clone() for name, tensor in actor.items()}
        for name, tensor in actor.items():
            if tensor.is_floating_point():
                self._average[name].lerp_(tensor, 1 - self._ema_decay)
            else:
                self._average[name].copy_(tensor)

    def save(self) -> dict:
        """Return all models for saving; an average is saved as the actor, and the learning actor separately."""
        saved = super().save()
        if self._average is not None:
            saved["learning_actor_state_dict"] = saved["actor_state_dict"]
            saved["actor_state_dict"] = dict(self._average)
        return saved

    def load(self, loaded_dict: dict, load_cfg: dict | None, strict: bool) -> bool:
        """Load what `save` of this class or of RSL-RL's PPO returned."""
        if "learning_actor_state_dict" in loaded_dict:
            if self._ema_decay is not None:
                self._average = {
                    name: tensor.to(self.device, copy=True) for name, tensor in loaded_dict["actor_state_dict"].items()
                }
            loaded_dict = loaded_dict | {"actor_state_dict": loaded_dict["learning_actor_state_dict"]}
        result = super().load(loaded_dict, load_cfg, strict)
        for group in self.optimizer.param_groups:
            group["fused"] = True  # RSL-RL's checkpoints set it to False
        return result

    # Schedules.

    def _apply_schedules(self) -> None:
        start, end = self._anneal
        done = min(max((self.iteration - start) / max(end - start, 1), 0.0), 1.0)
        now = {
            key: self._start[key] if final is None else self._start[key] + done * (final - self._start[key])
            for key, final in self._final.items()
        }
        self.entropy_coef, self.desired_kl = now["entropy_coef"], now["desired_kl"]
        self._max_std = now["max_std"] if self._final["max_std"] is not None else math.inf

    def _bound_std(self) -> None:
        if self._max_std < math.inf:
            self.actor.distribution.std_param.clamp_(max=self._max_std)


@torch.no_grad()
def _set_std(std: Tensor, values: float | list[float]) -> None:
    """Set the standard deviations of the actions, (a,)."""
    if isinstance(values, list) and len(values) != len(std):
        raise UserError(
            f"agent: algorithm.init_std is a list of {len(values)} numbers; it must be one number, "
            f"or a list of {len(std)}, one for each action."
        )
    std.copy_(torch.tensor(values).expand(len(std)))


def _linear_layers(model: MLPModel) -> list[nn.Linear]:
    layers = list(model.mlp)
    linear = layers[0::2]
    if not all(isinstance(x, nn.Linear) for x in linear) or not all(isinstance(x, nn.ELU) for x in layers[1::2]):
        raise ValueError("manyseeds' PPO needs multilayer perceptrons with the activation 'elu'")
    return linear


def _half_mirrored(originals: list[Tensor], images: list[Tensor]) -> list[list[Tensor]]:
    """Return the samples twice, with images in place of every second one and of the others.

    The last column weights the samples in the divergence, in which only originals count.
    """
    odd = (torch.arange(len(originals[0]), device=originals[0].device) % 2 == 1)[:, None]
    pairs = list(zip(originals, images, strict=True))
    return [[*(torch.where(kept, x, image) for x, image in pairs), 2.0 * kept] for kept in (odd, ~odd)]


def _log_prob(z: Tensor, std: Tensor) -> Tensor:
    """Log density of diagonal Gaussians at the standardized z (..., k), summed over the last dimension."""
    return z.square().sum(-1) * -0.5 - (std.log() + _LOG_SQRT_2PI).sum()


def _divergence(change: Tensor, old_std: Tensor, std: Tensor) -> Tensor:
    """Mean KL(old || new) of diagonal Gaussians, from the mean squared change (k,) of their means."""
    return (torch.log(std / old_std) + (old_std.square() + change) / (2 * std.square()) - 0.5).sum()


def _weights(layers: list[nn.Linear], dtype: torch.dtype) -> Weights:
    """Return weight and bias of every layer in `dtype`, but of the last layer in float32."""
    hidden = [(layer.weight.to(dtype), layer.bias.to(dtype)) for layer in layers[:-1]]
    return [*hidden, (layers[-1].weight, layers[-1].bias)]


def _chunks(rows: int, *columns: Tensor) -> Iterator[tuple[Tensor, ...]]:
    return zip(*(column.split(rows) for column in columns), strict=True)


def _forward(weights: Weights, x: Tensor) -> tuple[list[Tensor], Tensor]:
    """Return the input of every layer, in the layer's dtype, and the output in float32."""
    activations = [x]
    for weight, bias in weights[:-1]:
        x = elu(nn.functional.linear(x, weight, bias))
        activations.append(x)
    activations[-1] = x.float()
    return activations, nn.functional.linear(activations[-1], *weights[-1])


def _backward(weights: Weights, activations: list[Tensor], d_out: Tensor) -> Gradients:
    """Return the gradients of every layer from the gradient of the output, (n, out) in float32."""
    gradients = []
    for i in reversed(range(len(weights))):
        x, (weight, _) = activations[i], weights[i]
        gradients.append(((d_out.t() @ x).float(), d_out.sum(0).float()))
        if i > 0:
            # The derivative of ELU from its result y: 1 where y > 0, else y + 1.
            d_out = torch.ops.aten.elu_backward(d_out @ weight, 1.0, 1.0, 1.0, True, x)
            d_out = d_out.to(activations[i - 1].dtype)
    return gradients[::-1]


def _set_gradients(layers: list[nn.Linear], chunks: list[Gradients]) -> None:
    """Sum the chunks' gradients, always in the same order, into the layers."""
    total, *others = ([tensor for pair in chunk for tensor in pair] for chunk in chunks)
    for other in others:
        torch._foreach_add_(total, other)
    for i, layer in enumerate(layers):
        layer.weight.grad, layer.bias.grad = total[2 * i : 2 * i + 2]
