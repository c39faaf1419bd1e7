"""Packages that training imports come without their compilers and loggers, and are otherwise as they are."""

import subprocess
import sys

CODE = """
import sys
from manyseeds.core import quick_imports
quick_imports.install()
import rsl_rl.algorithms, tensordict, torch
print("torch._dynamo" in sys.modules, "wandb" in sys.modules, "neptune" in sys.modules)
import wandb
print(wandb.__name__)
data = tensordict.TensorDict({"a": torch.zeros(2, 3)}, batch_size=2)
print(data[0]["a"].shape, torch.stack([data, data]).batch_size)
print(torch.compiler.allow_in_graph.__module__)
"""


def test_neither_the_compiler_nor_loggers_are_imported_with_rsl_rl(tmp_path):
    (tmp_path / "wandb.py").write_text("")
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n{CODE}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    shape, size = "torch.Size([3])", "torch.Size([2, 2])"
    assert done.stdout.splitlines() == ["False False False", "wandb", f"{shape} {size}", "torch.compiler"]
