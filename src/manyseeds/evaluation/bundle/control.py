"""Run policy.onnx at its own rate. Needs numpy and onnxruntime; `observe` and `apply` are for you to fill in."""

import json
import sys
import time
from pathlib import Path

import numpy as np
import onnxruntime

POLICY = Path(__file__).with_name("policy.onnx")


def observe(part: dict, actions: np.ndarray) -> np.ndarray:
    """Return a part of the observation, part["size"] numbers in part["unit"]; here zeros stand for the sensors."""
    return actions if part["name"] == "actions" else np.zeros(part["size"], np.float32)


def apply(controls: np.ndarray) -> None:
    """Send the controls to the actuators, in the order that README.md lists."""
    print(controls.round(3).tolist())


def main(steps: int) -> None:
    """Control the robot for `steps` steps."""
    session = onnxruntime.InferenceSession(POLICY)
    about = session.get_modelmeta().custom_metadata_map
    parts, outputs = json.loads(about["inputs"])[0]["parts"], json.loads(about["outputs"])
    actions = np.zeros(outputs[0]["shape"][1], np.float32)
    due = time.monotonic()
    for _ in range(steps):
        observation = np.concatenate([observe(part, actions) for part in parts])
        actions, controls = (output[0] for output in session.run(None, {"obs": observation[None]}))
        apply(controls)
        due += float(about["step_s"])
        time.sleep(max(0.0, due - time.monotonic()))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100)
