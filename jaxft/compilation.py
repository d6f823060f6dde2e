"""``compiled``: ``jax.jit`` with products of float32 matrices in float32. The library compiles with nothing else (a test holds it).

Left alone, JAX rounds the factors of float32 products to TensorFloat-32 (10 bits of mantissa) on NVIDIA GPUs from Ampere on. That
suits a classifier. Here it would move a periodic image by 10⁻³ of the cell, and forces by some 10⁻³ of their size, while every test
on a CPU passes. What it costs to do without is measured in ``experiments/benchmarks/accelerator``.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

import jax


def compiled(function: Callable[..., Any], **options: Any) -> Any:
    """``jax.jit(function, **options)``, traced so that all products of matrices keep the precision of their factors."""

    @wraps(function)
    def traced(*args: Any, **kwargs: Any) -> Any:
        with jax.default_matmul_precision("highest"):
            return function(*args, **kwargs)

    return jax.jit(traced, **options)
