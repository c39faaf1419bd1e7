"""Neural networks on several threads, with results that do not depend on the number of threads.

Torch splits matrix products, element-wise kernels and reductions by its number of threads, which changes the last bits.
So torch uses one thread here. The rows of a network's input are cut into chunks of a fixed size, a pool of threads
computes the chunks, and the gradients are summed in the order of the chunks.
"""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

import torch
from torch import Tensor, nn

CHUNK = 1536
"""Rows that a thread computes at once. Results depend on the number, so it is not an option.

Smaller chunks would feed more threads, but the GIL keeps them from running at once (benchmarks/README.md).
"""

Map = Callable[[Callable[[Any], Any], Iterable[Any]], list[Any]]


def one_by_one(function: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
    """The `map` of one thread."""
    return [function(item) for item in items]


def thread_map(threads: int) -> Map:
    """Return a `map` that runs on `threads` threads and keeps the order; torch itself is set to one."""
    torch.set_num_threads(1)
    if threads == 1:
        return one_by_one
    pool = ThreadPoolExecutor(threads - 1, "manyseeds", initializer=torch.set_num_threads, initargs=(1,))

    def run(function: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
        items = list(items)
        results: list[Any] = [None] * len(items)
        open_items = iter(range(len(items)))  # each thread takes the next item; the GIL makes that safe

        def work() -> None:
            for i in open_items:
                results[i] = function(items[i])

        # One task per thread, not per item, and this thread works too: starting a task costs as much as a small chunk.
        others = [pool.submit(work) for _ in range(min(threads, len(items)) - 1)]
        try:
            work()
        finally:
            wait(others)
        for other in others:
            other.result()
        return results

    return run


def parallelize(mlp: nn.Sequential, run: Map) -> None:
    """Make a network compute its rows in chunks with `run`; its state dict does not change."""
    layers = nn.Sequential(*mlp)
    parameters = tuple(mlp.parameters())

    def forward(rows: Tensor) -> Tensor:
        if torch.is_grad_enabled():
            return _Chunked.apply(rows, layers, run, *parameters)
        flat = rows.flatten(0, -2)  # a whole rollout is (steps, environments, ...)
        outputs = torch.cat(run(lambda chunk: _without_grad(layers, chunk), flat.split(CHUNK)))
        return outputs.unflatten(0, rows.shape[:-1])

    mlp.forward = forward


class _Chunked(torch.autograd.Function):
    """A network as one node of the graph, with gradients of its parameters only: the inputs are observations."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, layers: nn.Module, run: Map, *parameters: Tensor) -> Tensor:
        outputs = run(lambda chunk: _with_grad(layers, chunk), rows.split(CHUNK))
        ctx.outputs, ctx.parameters, ctx.run = outputs, parameters, run
        return torch.cat([output.detach() for output in outputs])

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        pairs = list(zip(ctx.outputs, grad_outputs[0].split(CHUNK), strict=True))
        ctx.outputs = None
        gradients: Sequence[tuple[Tensor, ...]] = ctx.run(
            lambda pair: torch.autograd.grad(pair[0], ctx.parameters, pair[1]), pairs
        )
        total = list(gradients[0])
        for more in gradients[1:]:
            torch._foreach_add_(total, more)
        return None, None, None, *total


def _with_grad(layers: nn.Module, chunk: Tensor) -> Tensor:
    with torch.enable_grad():
        return layers(chunk)


def _without_grad(layers: nn.Sequential, chunk: Tensor) -> Tensor:
    with torch.no_grad():
        for layer in layers:
            chunk = elu(chunk) if isinstance(layer, nn.ELU) else layer(chunk)
        return chunk


def elu(x: Tensor) -> Tensor:
    """ELU. On a CPU it uses exp in float32: a third of the time of torch's expm1, and within 6e-8 of it."""
    if not x.is_cpu:
        return nn.functional.elu(x)
    wide = x.float()
    below = wide.clamp(max=0.0).exp_().sub_(1.0)
    return torch.maximum(wide, below, out=below).to(x.dtype)
