"""Which GPUs a job may use, and leases of them, so that no two jobs share a GPU by accident.

`devices` finds the GPUs that this process may use. `leases` gives each job its own GPUs, first come first served, by
file locks that end with the job. Nothing here imports torch.
"""

from manyseeds.gpus.devices import Device, allotted, allowed
from manyseeds.gpus.leases import Lease, Registry, lease

__all__ = ["Device", "Lease", "Registry", "allotted", "allowed", "lease"]
