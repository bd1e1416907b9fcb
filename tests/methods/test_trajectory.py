"""The no-U-turn transition: against a plain recursion fed with the same noise, and by the law that it must leave unchanged."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from vi_vs_mcmc.methods import trajectory
from vi_vs_mcmc.methods.blocks import noise_of


@pytest.fixture(autouse=True)
def double():
    with jax.enable_x64(True):
        yield


STEEP = np.array([[2.0, 0.9, 0.1], [0.9, 1.0, -0.4], [0.1, -0.4, 3.0]])


def normal(z):
    return -0.5 * z @ jnp.asarray(STEEP) @ z


def log_gamma(z):
    return jnp.sum(0.5 * z - jnp.exp(z))


def funnel(z):
    return -0.5 * z[0] ** 2 / 4 - 0.5 * jnp.sum(z[1:] ** 2) * jnp.exp(-z[0]) - 0.5 * (z.size - 1) * z[0]


def turned(left, right, total):
    between = total - 0.5 * (left + right)
    return left @ between <= 0 or right @ between <= 0


def recursive(density, z, size, depth, noise, at):
    """One transition as the paper tells it, every complete subtree tested from its list of momenta.

    Takes the noise of turn `at` - 1 to set out; returns the draw, its leapfrog steps, whether it diverged, and the next turn.
    """
    log_p, slope = density(z)
    r = noise.momentum[at - 1]
    start = 0.5 * r @ r - log_p
    ends, total, chosen, log_weight, steps = {True: (z, r, slope), False: (z, r, slope)}, r, (z, log_p), 0.0, 0
    right = bool(noise.right[at - 1])
    for level in range(depth):
        here, momenta, weight, candidate = ends[right], [], -np.inf, None
        for leaf in range(2**level):
            z, r, slope = here
            by = size if right else -size
            r = r + 0.5 * by * slope
            z = z + by * r
            log_p, slope = density(z)
            r = r + 0.5 * by * slope
            here, steps = (z, r, slope), steps + 1
            momenta.append(r)
            error = 0.5 * r @ r - log_p - start
            error = np.inf if np.isnan(error) else error
            weight = np.logaddexp(weight, -error)
            if leaf == 0 or noise.log_uniform[at, 0] < -error - weight:
                candidate = (z, log_p)
            at += 1
            spans = [2**k for k in range(1, level + 1) if (leaf + 1) % 2**k == 0]
            broken = any(turned(momenta[-span], r, np.sum(momenta[-span:], 0)) for span in spans)
            if error > trajectory.TOO_FAR or broken:
                return chosen, steps, error > trajectory.TOO_FAR, at
        if noise.log_uniform[at - 1, 1] < weight - log_weight:
            chosen = candidate
        log_weight, total, ends[right] = np.logaddexp(log_weight, weight), total + np.sum(momenta, 0), here
        if turned(ends[False][1], ends[True][1], total):
            break
        right = bool(noise.right[at - 1])
    return chosen, steps, False, at


@pytest.mark.parametrize(
    ("log_density", "size", "depth"),
    [
        (normal, 0.05, 8),
        (normal, 1.1, 4),
        (log_gamma, 0.2, 8),
        (log_gamma, 1.5, 5),
        (funnel, 0.25, 7),
        (funnel, 1.0, 3),
    ],
)
def test_a_chain_is_a_recursion_fed_with_the_samenoise_of(log_density, size, depth):
    density, turns = jax.value_and_grad(log_density), 1500
    _, noise = noise_of(jax.random.key_data(jax.random.split(jax.random.key(3), 1)), turns, 3)
    noise = jax.tree.map(lambda leaf: leaf[:, 0], noise)
    at = trajectory.at(np.full((1, 3), 0.3), np.full(1, size), np.zeros(1), depth)
    chain = jax.tree.map(lambda leaf: jnp.asarray(leaf[0]), at)
    step = lambda chain, noise: trajectory.turn(density, chain, noise, jnp.asarray(0.8), jnp.asarray(False))
    draws = jax.tree.map(np.asarray, jax.jit(lambda c, n: jax.lax.scan(step, c, n)[1])(chain, noise))
    plain, noise = jax.jit(density), jax.tree.map(np.asarray, noise)
    z, turn, ended = np.full(3, 0.3), 1, np.flatnonzero(draws.over)
    assert len(ended) > 20
    for end in ended:
        of = lambda z: tuple(np.asarray(part) for part in plain(z))
        chosen, steps, diverging, turn = recursive(of, z, size, depth, noise, turn)
        assert (turn - 1, steps, diverging) == (end, draws.steps[end], draws.diverging[end])
        np.testing.assert_allclose(draws.z[end], chosen[0], rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(draws.log_p[end], chosen[1], rtol=1e-9, atol=1e-9)
        z, turn = draws.z[end], end + 1


def one_transition(log_density, start, size, depth, seed):
    """The first draw of many chains, each from its own start (chains, D)."""
    density = jax.value_and_grad(log_density)
    chains = trajectory.at(start, np.full(len(start), size), np.zeros(len(start)), depth)
    keys = jax.random.key_data(jax.random.split(jax.random.key(seed), len(start)))

    @jax.jit
    def run(keys, chains):
        def body(carry, _):
            keys, chains, first, have = carry
            keys, noise = noise_of(keys, 1, start.shape[1])
            noise = jax.tree.map(lambda leaf: leaf[0], noise)
            one = lambda chain, noise: trajectory.turn(density, chain, noise, jnp.asarray(0.8), jnp.asarray(False))
            chains, draws = jax.vmap(one)(chains, noise)
            first = jnp.where((draws.over & ~have)[:, None], draws.z, first)
            return (keys, chains, first, have | draws.over), None

        state = (keys, jax.tree.map(jnp.asarray, chains), jnp.asarray(start), jnp.zeros(len(start), bool))
        return jax.lax.scan(body, state, None, 2**depth + 1)[0][2:]

    first, have = run(keys, chains)
    assert np.asarray(have).all()
    return np.asarray(first)


@pytest.mark.slow
@pytest.mark.parametrize(("size", "depth"), [(0.6, 5), (2.0, 4), (3.0, 4)])
def test_draws_of_the_target_stay_draws_of_it(size, depth):
    """log of a gamma of shape 1/2: skew, one heavy tail and one light; steps from fine to far too large."""
    chains, rng = 100_000, np.random.default_rng(7)
    start = np.log(rng.gamma(1.5, size=(chains, 1))) + np.log(rng.uniform(size=(chains, 1))) / 0.5  # as log gamma(.5)
    moved = one_transition(log_gamma, start, size, depth, seed=int(rng.integers(2**31)))
    before, after = (stats.gamma.cdf(np.exp(x[:, 0]), 0.5) for x in (start, moved))
    assert (np.abs(after - before) > 0).mean() > 0.05
    for of in (lambda u: u, lambda u: u**2, lambda u: (u - 0.5) ** 4, lambda u: u < 0.01, lambda u: u > 0.99):
        change = 1.0 * of(after) - of(before)
        assert abs(change.mean()) <= 4.5 * change.std() / np.sqrt(chains)  # 15 of them: one in 10 000 by chance
