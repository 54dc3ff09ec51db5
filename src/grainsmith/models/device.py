"""Choice of the compute device and of torch's threads."""

from __future__ import annotations

import os
from functools import cache

import torch

from grainsmith.errors import ModelError


def choose_device(device: str) -> torch.device:
    """Return the compute device; "auto" prefers CUDA, then MPS, then the CPU.

    Raises
    ------
    ModelError
        The requested device is not available.
    """
    available = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    usable = [name for name, present in available.items() if present]
    if device == "auto":
        return torch.device(usable[0])
    if device not in usable:
        raise ModelError(
            f"device {device!r} is not available: this machine has {', '.join(usable)}"
        )
    return torch.device(device)


def has_bfloat16_matmul() -> bool:
    """Return whether the processor has matrix instructions for bfloat16 numbers."""
    query = getattr(torch.cpu, "get_capabilities", None)  # not in torch 2.4
    capabilities = query() if query else {}
    return any(capabilities.get(name, False) for name in ("amx_bf16", "avx512_bf16"))


@cache
def limit_torch_threads() -> None:
    """Keep one core free for the user interface, on machines with more than two.

    Only the first call in a process has an effect, so that a number of threads set later stays.
    """
    cores = os.cpu_count() or 1
    limit = cores - 1 if cores > 2 else cores
    if torch.get_num_threads() > limit:
        torch.set_num_threads(limit)
