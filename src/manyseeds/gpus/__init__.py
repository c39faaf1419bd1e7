"""Which GPUs a job may use: found or listed, then leased so that no two jobs share one by accident.

`devices` says which GPUs there are for this process; `leases` gives each job its own, in the order of asking, by
file locks that die with the job. Nothing here imports torch.
"""

from manyseeds.gpus.devices import Device, allotted, allowed
from manyseeds.gpus.leases import Lease, Registry, lease

__all__ = ["Device", "Lease", "Registry", "allotted", "allowed", "lease"]
