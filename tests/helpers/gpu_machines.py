"""Stand-ins for GPUs: a machine whose PyTorch sees so many of them, or none, whatever this machine has."""

import pytest
import torch


def gpu_machine(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Let PyTorch, built for CUDA, see so many GPUs."""
    monkeypatch.setattr(torch.cuda, "device_count", lambda: number)
    monkeypatch.setattr(torch.version, "cuda", "13.0")
