"""From settings to an optax chain: clip, Adam, weight decay, schedule; frozen parameters get no update at all.

The numbers are arrays (``Hyperparameters``), so that another learning rate or weight is the same compiled program,
and a population of settings can be trained as one by ``vmap``. The chain is built while tracing; its state depends on
no number.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from jaxft.finetune.loss import LossWeighting
from jaxft.finetune.settings import FinetuneSettings
from jaxft.finetune.trainable import FROZEN, TRAINED
from jaxft.pytree import pytree


@pytree
class Hyperparameters:
    """The numbers of FinetuneSettings as scalars in the network's precision; units as there.

    warmup_updates  may be a fraction of an update
    final_fraction  learning rate at the end over its peak: 0 for the cosine schedule, 1 for the others
    gradient_clip   infinite where there is no clipping
    """

    updates: Int[Array, ""]
    learning_rate: Float[Array, ""]
    warmup_updates: Float[Array, ""]
    final_fraction: Float[Array, ""]
    weight_decay: Float[Array, ""]
    gradient_clip: Float[Array, ""]
    adam_beta2: Float[Array, ""]
    ema_decay: Float[Array, ""]
    loss: LossWeighting


def hyperparameters(settings: FinetuneSettings, dtype: str = "float32") -> Hyperparameters:
    """The numbers of the settings as arrays."""

    def scalar(value: float) -> Any:
        return jnp.asarray(value, dtype)

    return Hyperparameters(
        updates=jnp.asarray(settings.updates, jnp.int32),
        learning_rate=scalar(settings.learning_rate),
        warmup_updates=scalar(settings.warmup_fraction * settings.updates),
        final_fraction=scalar({"cosine": 0.0, "constant": 1.0, "plateau": 1.0}[settings.schedule]),
        weight_decay=scalar(settings.weight_decay),
        gradient_clip=scalar(math.inf if settings.gradient_clip is None else settings.gradient_clip),
        adam_beta2=scalar(settings.adam_beta2),
        ema_decay=scalar(settings.ema_decay),
        loss=LossWeighting(
            energy=scalar(settings.weights.energy),
            forces=scalar(settings.weights.forces),
            stress=scalar(settings.weights.stress),
            replay=scalar(settings.replay_weight),
            huber_delta=scalar(settings.huber_delta),
        ),
    )


def learning_rate_at(hyper: Hyperparameters, update: Int[Array, ""]) -> Float[Array, ""]:
    """Learning rate of the update with number n = 0, 1, ...: η min(1, (n+1)/n_w) [f + (1-f) (1 + cos π t)/2].

    n_w is the number of warm-up updates, f the final fraction, t = (n - n_w)/(updates - n_w) within 0..1.
    Source of the cosine: Loshchilov & Hutter, SGDR (arXiv 1608.03983), eq. 5, without restarts.
    """
    n = update.astype(hyper.learning_rate.dtype)
    rise = jnp.minimum(1.0, (n + 1.0) / jnp.maximum(hyper.warmup_updates, 1.0))
    length = jnp.maximum(hyper.updates.astype(n.dtype) - hyper.warmup_updates, 1.0)
    t = jnp.clip((n - hyper.warmup_updates) / length, 0.0, 1.0)
    fall = hyper.final_fraction + (1.0 - hyper.final_fraction) * 0.5 * (1.0 + jnp.cos(jnp.pi * t))
    return hyper.learning_rate * rise * fall


def make_optimizer(hyper: Hyperparameters, labels: Any, factors: Any) -> optax.GradientTransformation:
    """AdamW on the parameters labelled ``trained``; ``frozen`` ones neither move nor decay nor count in the norm.

    factors: a factor on the learning rate of each parameter. Sources: Kingma & Ba (arXiv 1412.6980) with β₁ = 0.9;
    Loshchilov & Hutter (arXiv 1711.05101) for decoupled decay; Howard & Ruder (arXiv 1801.06146) for rates by group.
    """
    chain = optax.chain(
        optax.clip_by_global_norm(hyper.gradient_clip),
        optax.scale_by_adam(b1=0.9, b2=hyper.adam_beta2, eps=1e-8),
        optax.add_decayed_weights(hyper.weight_decay),
        optax.scale_by_schedule(lambda update: -learning_rate_at(hyper, update)),
    )
    by_group = optax.stateless(lambda steps, _: jax.tree.map(lambda step, factor: factor * step, steps, factors))
    return optax.chain(optax.partition({TRAINED: chain, FROZEN: optax.set_to_zero()}, labels), by_group)
