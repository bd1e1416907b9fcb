"""Where a sweep starts: k-means++ centres, each row counted at its nearest. Source: Arthur and Vassilvitskii (2007), SODA."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import Array


def seeded_clusters(key: Array, x: Array, number: int) -> tuple[Array, Array]:
    """k-means++ centres (number, D) and each row's nearest, (rows,)."""

    def nearer(carry, key):
        """One more centre, drawn with probability proportional to the squared distance from the nearest so far."""
        nearest, label, k = carry
        drawn = jnp.where(nearest > 0, jnp.log(jnp.where(nearest > 0, nearest, 1.0)), -jnp.inf)
        drawn = jnp.where(jnp.any(nearest > 0), drawn, 0.0)  # every row is a centre already: any will do
        centre = x[jax.random.categorical(key, drawn)]
        distance = ((x - centre) ** 2).sum(1)
        return (jnp.minimum(distance, nearest), jnp.where(distance < nearest, k, label), k + 1), centre

    key_first, key_rest = jax.random.split(key)
    centre = x[jax.random.randint(key_first, (), 0, x.shape[0])]
    first = (((x - centre) ** 2).sum(1), jnp.zeros(x.shape[0], int), 1)
    (_, label, _), others = jax.lax.scan(nearer, first, jax.random.split(key_rest, number - 1))
    return jnp.concatenate([centre[None], others]), label


def nearest_first(centres: Array, wanted: Array) -> Array:
    """For each wanted place in turn, the nearest centre that is still free, (K,): labels in the prior's order."""
    distance = ((wanted[:, None] - centres[None]) ** 2).sum(-1)
    order = []
    for k in range(len(wanted)):
        chosen = jnp.argmin(distance[k])
        order.append(chosen)
        distance = distance.at[:, chosen].set(jnp.inf)
    return jnp.stack(order)
