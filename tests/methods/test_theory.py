r"""CAVI and its linear response against Fisher information, on the mixture experiment of the paper on linear response.

For N rows the posterior's covariance tends to I^-1 / N, with I the Fisher information of a row at the truth. CAVI's tends to the
inverse of what I would be if the labels were seen: the ratio of its sds to the posterior's is a number of the mixture alone.
Linear response gives back the information of the labels, so that its ratio is 1.

Source: Giordano, Broderick and Jordan (2015), Linear Response Methods for Accurate Covariance Estimates, NIPS: 10 000 rows of two
components in two dimensions. `GIBBS` are sds that its authors stored with their code, of 10 000 draws each, as means over 198
simulated data sets; the priors that the paper prints were switched off in those runs, and weak ones are used here.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import Array
from jax.scipy.stats import multivariate_normal
from numpy.testing import assert_allclose
from vi_vs_mcmc.models.gmm.structure import MixtureStructure, mixture_structure, statistics

from vi_vs_mcmc import engine, response
from vi_vs_mcmc.conjugate import Natural
from vi_vs_mcmc.expfam import dirichlet_expected_log, dirichlet_log_normaliser

pytestmark = pytest.mark.slow

ROWS, SETS = 10_000, 200
TOGETHER = 5  # data sets in one vmap: one is slower, and more take memory for each tile of rows and right-hand side
SWEEPS, POLISHING = 40, 2  # of coordinate ascent, from the truth; of Newton

WEIGHTS = np.array([3 / 7, 4 / 7])
MEANS = np.array([[0.0, 0.0], [1.0, 1.0]])
COVARIANCES = np.array([np.diag([1 / 9, 1 / 4]), np.sqrt(2) * np.diag([1 / 9, 1 / 4])])
LOWER = np.tril_indices(2)  # precisions 11, 12, 22

NAMES = (
    *(f"mean {k}, {i}" for k in (1, 2) for i in (1, 2)),
    *(f"precision {k}, {ij}" for k in (1, 2) for ij in (11, 12, 22)),
    *(f"log weight {k}" for k in (1, 2)),
)
GIBBS = np.array([0.00775, 0.00998, 0.00771, 0.00991, 0.2818, 0.1218, 0.1062, 0.1664, 0.0773, 0.0608, 0.0173, 0.0130])
# sd(VB) / sd(exact): the complete data's against the observed data's Fisher information at the truth
THEORY = np.array([0.660, 0.767, 0.681, 0.796, 0.691, 0.753, 0.815, 0.716, 0.728, 0.872, 0.668, 0.668])


class Ratios(NamedTuple):
    """sd / sd(Fisher) of the scalars `NAMES` in each of `SETS` data sets, and the residual of each fixed point."""

    cavi: np.ndarray  # (SETS, 12)
    lrvb: np.ndarray  # (SETS, 12)
    residual: np.ndarray  # (SETS,)
    positive: np.ndarray  # (SETS,) bool


def information_sds() -> tuple[np.ndarray, np.ndarray]:
    """Sds of the scalars `NAMES` by the inverse Fisher information of ROWS rows, (12,): labels unseen, labels seen.

    Labels unseen: I = E[s s'] of the score s at the truth, by the trapezoidal rule. Labels seen: a row of component k comes with
    probability w_k, and the information falls apart into blocks: Var mu_i = Sigma_ii / (N w), Var Lambda_ij = (Lambda_ij^2 +
    Lambda_ii Lambda_jj) / (N w), Var log w = (1 - w) / (N w).
    """
    precisions = np.linalg.inv(COVARIANCES)

    def scalars(theta: dict[str, Array]) -> Array:
        return jnp.concatenate(
            [theta["means"].ravel(), theta["lower"].ravel(), jax.nn.log_softmax(jnp.append(theta["logit"], 0.0))]
        )

    def log_p(theta: dict[str, Array], x: Array) -> Array:
        square = theta["lower"][:, np.array([[0, 1], [1, 2]])]
        log_weights = jax.nn.log_softmax(jnp.append(theta["logit"], 0.0))
        rows = jax.vmap(multivariate_normal.logpdf, (None, 0, 0))(x, theta["means"], jnp.linalg.inv(square))
        return jax.nn.logsumexp(log_weights + rows)

    truth = {
        "logit": jnp.log(WEIGHTS[0] / WEIGHTS[1]),
        "means": jnp.asarray(MEANS),
        "lower": jnp.asarray(precisions[:, *LOWER]),
    }
    axis = np.arange(
        -4.5, 5.5, 0.04
    )  # 7 sds beyond either mean; the rule's error falls faster than any power of the step
    grid = jnp.stack([a.ravel() for a in jnp.meshgrid(axis, axis)], 1)
    mass = jnp.exp(jax.vmap(log_p, (None, 0))(truth, grid)) * 0.04**2
    assert_allclose(mass.sum(), 1, rtol=1e-10)
    leaves = jax.tree.leaves(jax.vmap(jax.grad(log_p), (None, 0))(truth, grid))
    score = jnp.concatenate([leaf.reshape(len(grid), -1) for leaf in leaves], 1)
    slopes = jnp.concatenate([leaf.reshape(12, -1) for leaf in jax.tree.leaves(jax.jacrev(scalars)(truth))], 1)
    information = ROWS * (mass[:, None] * score).T @ score
    unseen = jnp.sqrt(jnp.diag(slopes @ jnp.linalg.solve(information, slopes.T)))

    diagonal = np.diagonal(precisions, axis1=1, axis2=2)
    spread = precisions**2 + diagonal[:, :, None] * diagonal[:, None, :]
    rows = ROWS * WEIGHTS[:, None]
    seen = (np.diagonal(COVARIANCES, axis1=1, axis2=2) / rows, spread[:, *LOWER] / rows, (1 - WEIGHTS[:, None]) / rows)
    return np.asarray(unseen), np.sqrt(np.concatenate([part.ravel() for part in seen]))


def simulated(rng: np.random.Generator) -> MixtureStructure:
    """A data set of the experiment, with a weak prior."""
    label = rng.choice(2, size=ROWS, p=WEIGHTS)
    x = MEANS[label] + rng.normal(size=(ROWS, 2)) * np.sqrt(np.diagonal(COVARIANCES, axis1=1, axis2=2))[label]
    pair = np.ones(2)
    scale = np.tile(100.0 * np.eye(2), (2, 1, 1))
    return mixture_structure(x, pair, np.zeros((2, 2)), 0.01 * pair, scale, 2.0 * pair, exchangeable=True)


def means(model: MixtureStructure, eta: Natural) -> Array:
    """E_q of the scalars `NAMES`, (12,)."""
    of = model.moments(eta)
    log_weights = dirichlet_expected_log(eta["weights"] + 1.0)
    return jnp.concatenate([of["means"][0].ravel(), of["precisions"][0][:, *LOWER].ravel(), log_weights])


def variances(model: MixtureStructure, eta: Natural) -> Array:
    """Var_q of the scalars `NAMES`, (12,)."""
    of = model.moments(eta)
    log_weights = jnp.diag(jax.hessian(dirichlet_log_normaliser)(eta["weights"]))
    return jnp.concatenate([of["means"][1].ravel(), of["precisions"][1][:, *LOWER].ravel(), log_weights])


def fixed_point(model: MixtureStructure) -> Natural:
    """Coordinate ascent from the truth's responsibilities, to the last digits."""
    truth = {"weights": jnp.asarray(WEIGHTS), "means": jnp.asarray(MEANS), "precisions": jnp.linalg.inv(COVARIANCES)}
    share = model.responsibilities(truth, model.centre + model.spread * model.rows)
    eta = jax.tree.map(jnp.add, model.prior, statistics(share, model.rows))
    eta = jax.lax.fori_loop(0, SWEEPS, lambda _, eta: engine.sweep(model, eta)[2], eta)
    return jax.lax.fori_loop(0, POLISHING, lambda _, eta: response.newton(model, eta)[0], eta)


def fitted(model: MixtureStructure) -> tuple[Array, Array, Array, Array]:
    """Sds of CAVI and of linear response, (12,) each; the fixed point's residual; whether it is a strict maximum."""
    eta = fixed_point(model)
    own = variances(model, eta)
    found = response.respond(model, eta, jax.jacrev(lambda eta: means(model, eta))(eta))
    return jnp.sqrt(own), jnp.sqrt(own + jnp.diag(found.added)), engine.residual(model, eta), found.positive


def simulation(seed: int) -> Ratios:
    """The experiment: `SETS` data sets, each fitted and corrected; needs float64."""
    rng = np.random.default_rng(seed)
    models = [simulated(rng) for _ in range(SETS)]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *models)
    cavi, lrvb, residual, positive = jax.jit(lambda m: jax.lax.map(fitted, m, batch_size=TOGETHER))(stacked)
    exact = information_sds()[0]
    return Ratios(np.asarray(cavi) / exact, np.asarray(lrvb) / exact, np.asarray(residual), np.asarray(positive))


@pytest.fixture(autouse=True)
def _float64():
    with jax.enable_x64(True):
        yield


@pytest.fixture(scope="module")
def ratios():
    with jax.enable_x64(True):
        return simulation(seed=0)


def test_fisher_information_gives_the_sds_of_gibbs_draws_and_the_theory_of_cavis():
    unseen, seen = information_sds()
    assert_allclose(unseen, GIBBS, rtol=0.01)
    assert_allclose(seen / unseen, THEORY, rtol=0, atol=5e-4)  # three digits are written


def test_every_data_set_has_its_fixed_point(ratios):
    assert ratios.residual.max() < 1e-10
    assert ratios.positive.all()


def test_cavis_sds_are_the_theorys(ratios):
    assert_allclose(ratios.cavi.mean(0), THEORY, rtol=0, atol=0.01)


def test_linear_response_gives_back_the_sds_that_cavi_lost(ratios):
    assert_allclose(ratios.lrvb.mean(0), 1, rtol=0, atol=0.015)
