"""The hidden Markov model against sums over every path, in NumPy; its samplers against each other."""

import itertools

import arviz_stats
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats
from scipy.special import gammaln, logsumexp, multigammaln
from vi_vs_mcmc.models.hidden_markov.forward import draw_paths, forward, log_evidence
from vi_vs_mcmc.models.hidden_markov.problem import side_by_side
from vi_vs_mcmc.models.hidden_markov.program import HiddenMarkovNormal

import vi_vs_mcmc as vm
from vi_vs_mcmc.precision import in_float64

MODEL = vm.load("hidden_markov")
SITES = ("initial", "transition", "means", "covariances")
DRAWS = 20_000


@pytest.fixture(autouse=True)
def _float64():
    with jax.enable_x64(True):
        yield


def laws(states: int, lengths: tuple[int, ...], seed: int = 0):
    """Logarithms of no probabilities in particular: initial, transition, emissions (T, K, S), and which steps are real."""
    rng = np.random.default_rng(seed)
    real = np.array([np.arange(max(lengths)) < n for n in lengths], float)
    shapes = (states,), (states, states), (max(lengths), states, len(lengths))
    return *(jnp.asarray(rng.normal(size=shape)) for shape in shapes), jnp.asarray(real)


def weights_of_paths(initial, transition, emissions, length: int) -> dict[tuple[int, ...], float]:
    """log weight of every path of one sequence, (T, K) emissions."""
    initial, transition, emissions = (np.asarray(of) for of in (initial, transition, emissions))
    out = {}
    for path in itertools.product(range(len(initial)), repeat=length):
        steps = sum(transition[a, b] for a, b in itertools.pairwise(path))
        out[path] = initial[path[0]] + steps + sum(emissions[t, k] for t, k in enumerate(path))
    return out


def test_the_forward_algorithm_is_the_sum_over_every_path_whatever_the_padding():
    lengths = (5, 3, 1, 4)
    initial, transition, emissions, real = laws(3, lengths)
    found = jax.jit(log_evidence)(initial, transition, emissions, real)
    wanted = [
        logsumexp(list(weights_of_paths(initial, transition, emissions[:, :, s], n).values()))
        for s, n in enumerate(lengths)
    ]
    assert_allclose(found, wanted, rtol=1e-13)


def test_paths_are_drawn_as_often_as_their_weight_says():
    lengths = (3, 2)
    initial, transition, emissions, real = laws(2, lengths, seed=1)
    transition = jnp.asarray(transition)

    @jax.jit
    def drawn(keys):
        alpha = forward(initial, transition, emissions, real)
        return jax.vmap(lambda key: draw_paths(key, transition, alpha, real))(keys)

    paths = np.asarray(drawn(jax.random.split(jax.random.key(0), DRAWS)))
    for s, n in enumerate(lengths):
        weights = weights_of_paths(initial, transition, emissions[:, :, s], n)
        total = logsumexp(list(weights.values()))
        for path, weight in weights.items():
            share = np.exp(weight - total)
            seen = (paths[:, s, :n] == path).all(1).mean()
            assert abs(seen - share) < 4 * np.sqrt(share * (1 - share) / DRAWS), path


def test_the_programs_law_is_scipys_normals_along_every_path():
    rng = np.random.default_rng(2)
    initial, transition = rng.dirichlet([1, 2]), rng.dirichlet([2, 2], size=2)
    means, root = 1e3 + rng.normal(size=(2, 2)), rng.normal(size=(2, 2, 2))
    precisions = root @ root.swapaxes(1, 2) + np.eye(2)
    x = 1e3 + rng.normal(size=(1, 4, 2))
    emissions = np.stack(
        [stats.multivariate_normal(m, np.linalg.inv(p)).logpdf(x[0]) for m, p in zip(means, precisions, strict=True)], 1
    )
    wanted = logsumexp(list(weights_of_paths(np.log(initial), np.log(transition), emissions, 4).values()))
    law = HiddenMarkovNormal(*map(jnp.asarray, (initial, transition, means, precisions)), jnp.ones((1, 4)))
    assert_allclose(law.log_prob(jnp.asarray(x)), [wanted], rtol=1e-10)
    draws = np.asarray(law.sample(jax.random.key(1), (DRAWS,)))[:, 0, 1]
    mean = initial @ transition @ means
    assert (np.abs(draws.mean(0) - mean) < 4 * draws.std(0) / np.sqrt(DRAWS)).all()


def log_evidence_of_state(x, m0, b0, w, nu) -> float:
    """log p of rows that share one normal-Wishart (Murphy 2007, Conjugate Bayesian analysis, 266)."""
    n, dimension = x.shape
    mean = x.mean(0) if n else m0
    b, v = b0 + n, nu + n
    w_inverse = np.linalg.inv(w) + (x - mean).T @ (x - mean) + b0 * n / b * np.outer(mean - m0, mean - m0)
    return (
        -0.5 * n * dimension * np.log(np.pi)
        + multigammaln(v / 2, dimension)
        - multigammaln(nu / 2, dimension)
        - 0.5 * nu * np.linalg.slogdet(w)[1]
        - 0.5 * v * np.linalg.slogdet(w_inverse)[1]
        + 0.5 * dimension * np.log(b0 / b)
    )


def of_counts(alpha, counts) -> float:
    """log of the Dirichlet-multinomial's probability of one order with these counts."""
    return gammaln(alpha.sum()) - gammaln((alpha + counts).sum()) + (gammaln(alpha + counts) - gammaln(alpha)).sum()


def brute(problem: vm.Problem) -> float:
    """log evidence of one sequence of one column by a sum over paths with theta integrated out: no code of the package."""
    x, prior = problem.args[0][0], problem.kwargs
    states, joint = len(prior["mean"]), []
    for path in itertools.product(range(states), repeat=len(x)):
        z = np.array(path)
        value = of_counts(prior["initial_concentration"], np.eye(states)[z[0]])
        for k in range(states):
            after = np.bincount(z[1:][z[:-1] == k], minlength=states)
            value += of_counts(prior["transition_concentration"][k], after)
            of = (prior[name][k] for name in ("mean", "mean_precision", "scale", "degrees_of_freedom"))
            value += log_evidence_of_state(x[z == k], *of)
        joint.append(value)
    return float(logsumexp(joint))


@pytest.fixture(scope="module")
def tiny() -> vm.Problem:
    """Nine steps, two states whose priors differ: 512 paths."""
    rng = np.random.default_rng(4)
    x = np.repeat([-1.0, 1.0, -1.0], [3, 4, 2])[:, None] + 0.8 * rng.normal(size=(9, 1))
    return MODEL(x, mean=[[-1.0], [1.0]], transition_concentration=[[3.0, 1.0], [1.0, 2.0]], degrees_of_freedom=6.0)


@pytest.fixture(scope="module")
def exact(tiny):
    return vm.fit(tiny, "exact", seed=0, draws=5000)


@pytest.mark.slow
def test_the_exact_evidence_is_that_of_a_sum_by_hand(tiny, exact):
    assert_allclose(exact.attrs["log_evidence"], brute(tiny), rtol=1e-12)
    assert "co_clustering" not in exact["variational"]  # a path is no label


@pytest.mark.slow
@pytest.mark.parametrize("method", ["gibbs", "nuts"])
def test_a_sampler_has_the_exact_means_and_sds(tiny, exact, method):
    tree, closed = vm.fit(tiny, method, seed=5, draws=5000), exact["variational"]
    for site in SITES[:3]:  # a covariance of nine rows has too heavy a tail for an error of its sd
        draws = tree["posterior"][site].values
        flat = draws.reshape(*draws.shape[:2], -1)
        mean, sd = closed[f"mean_{site}"].values.ravel(), closed[f"sd_{site}"].values.ravel()
        for j in range(flat.shape[-1]):
            of = flat[..., j]
            assert abs(of.mean() - mean[j]) < 4 * float(arviz_stats.mcse(of, method="mean")), (site, j)
            assert abs(of.std() - sd[j]) < 4 * float(arviz_stats.mcse(of, method="sd")), (site, j)


@pytest.mark.slow
def test_the_bound_is_below_the_evidence_and_that_without_z_between(tiny, exact):
    cavi = vm.fit(tiny, "cavi", seed=0, draws=2000)
    assert cavi.attrs["elbo"] < cavi.attrs["elbo_marginal"] < exact.attrs["log_evidence"]


@pytest.mark.slow
def test_the_elbo_is_the_mean_of_the_joint_with_paths_over_q(tiny):
    """log p(x, z, theta) by SciPy at draws of theta and z from q, less log q(theta) and log q(z)."""
    model = tiny.conjugate
    optima = vm.CAVI(restarts=2).optima(model, jax.random.key(0))
    eta, prior, x = jax.tree.map(jnp.asarray, optima.best()), tiny.kwargs, tiny.args[0][0]

    @jax.jit
    def drawn(keys):
        m = jax.grad(model.log_normaliser)(eta)
        known = model.local(model.coefficients(m), model.rows)[0]

        def one(key):
            key_theta, key_z = jax.random.split(key)
            theta, z = model.draw(key_theta, eta), model.draw_local(key_z, m, model.rows)
            log_z = model.complete(m, z, model.rows)[0] - known
            t = model.sufficient(theta)
            inner = sum(jax.tree.leaves(jax.tree.map(jnp.vdot, eta, t)))
            return theta, z[0], log_z + inner - model.log_normaliser(eta) + model.log_jacobian()

        return jax.vmap(one)(keys)

    theta, paths, log_q = jax.tree.map(np.asarray, drawn(jax.random.split(jax.random.key(1), 4000)))
    ratio = []
    for s, z in enumerate(paths):
        pi, moves, mu, precision = (theta[name][s] for name in ("initial", "transition", "means", "precisions"))
        value = stats.dirichlet(prior["initial_concentration"]).logpdf(pi) + np.log(pi[z[0]])
        value += np.log(moves[z[:-1], z[1:]]).sum()
        for k in range(2):
            value += stats.dirichlet(prior["transition_concentration"][k]).logpdf(moves[k])
            law = stats.wishart(prior["degrees_of_freedom"][k], prior["scale"][k])
            value += law.logpdf(precision[k][0, 0])
            sd = (prior["mean_precision"][k] * precision[k][0, 0]) ** -0.5
            value += stats.norm(prior["mean"][k][0], sd).logpdf(mu[k][0])
            value += stats.norm(mu[k][0], precision[k][0, 0] ** -0.5).logpdf(x[z == k]).sum()
        ratio.append(value - log_q[s])
    error = np.std(ratio) / np.sqrt(len(ratio))
    assert abs(np.mean(ratio) - optima.ascent.elbo[0]) < 4 * error
    assert (np.diff(optima.ascent.trace[0][: optima.ascent.sweeps[0]]) > -1e-9).all()


@pytest.fixture(scope="module")
@in_float64
def long() -> vm.Problem:
    """Two states that overlap, eight sequences of 300 steps: a posterior near a normal law, of which mean field cuts much."""
    rng = np.random.default_rng(0)
    z = [0]
    for _ in range(2399):
        z.append(z[-1] if rng.random() < 0.85 else 1 - z[-1])
    x = 2.0 * np.array(z)[:, None] + rng.normal(size=(2400, 1))
    return MODEL(np.column_stack([x, np.arange(2400) // 300]), sequence="x1")


@pytest.fixture(scope="module")
def gibbs(long):
    return vm.fit(long, vm.Gibbs(thin=5), seed=2, draws=4000)


@pytest.mark.slow
def test_linear_response_has_the_sds_of_gibbs_where_the_posterior_is_nearly_normal(long, gibbs):
    lrvb, cavi = (vm.fit(long, method, seed=2, draws=100)["variational"] for method in ("lrvb", "cavi"))
    lowest = 1.0
    for site in ("transition", "means", "covariances"):
        sd = gibbs["posterior"][site].std(("chain", "draw")).values
        # an sd of 16 000 draws is known to .01 or so
        assert_allclose(lrvb[f"sd_{site}"].values / sd, 1.0, atol=0.03)
        lowest = min(lowest, (cavi[f"sd_{site}"].values / sd).min())
    assert lowest < 0.85


@pytest.mark.slow
def test_gibbs_and_nuts_agree(long, gibbs):
    nuts = vm.fit(long, "nuts", seed=1, draws=2000)
    for site in SITES:
        for index in np.ndindex(gibbs["posterior"][site].shape[2:]):
            a, b = (tree["posterior"][site].values[(..., *index)] for tree in (gibbs, nuts))
            for of in ("mean", "sd"):
                error = np.hypot(*(float(arviz_stats.mcse(draws, method=of)) for draws in (a, b)))
                assert abs(getattr(a, of.replace("sd", "std"))() - getattr(b, of.replace("sd", "std"))()) < 4 * error


def test_sequences_come_in_order_of_appearance_padded_by_their_first_row():
    x, real = side_by_side(np.arange(5.0)[:, None], np.array([7, 2, 7, 7, 2]))
    assert_allclose(x[..., 0], [[0, 2, 3], [1, 4, 1]])
    assert_allclose(real, [[1, 1, 1], [1, 1, 0]])


def test_the_geyser_is_the_default_in_the_order_of_time():
    problem = MODEL()
    assert problem.args[0].shape == (1, 272, 2)
    assert problem.exchangeable == "state"
    assert problem.site_dims("transition") == ("state", "state_2")
    assert_allclose(problem.args[0][0, :2], [[3.6, 79], [1.8, 54]])


def test_labels_are_exchangeable_only_while_the_prior_is_the_same_in_any_order():
    x = np.random.default_rng(0).normal(size=(12, 1))
    assert MODEL(x, transition_concentration=[[5.0, 1.0], [1.0, 5.0]]).exchangeable == "state"
    assert MODEL(x, transition_concentration=[[5.0, 1.0], [2.0, 5.0]]).exchangeable is None
    assert MODEL(x, initial_concentration=[1.0, 2.0]).exchangeable is None
    assert MODEL(x, states=1).exchangeable is None


def test_settings_that_do_not_fit_are_refused():
    x = np.random.default_rng(0).normal(size=(12, 2))
    with pytest.raises(vm.SettingError, match="sequence is 'when'; want a numeric column"):
        MODEL(x, sequence="when")
    with pytest.raises(vm.SettingError, match="want a numeric column"):
        MODEL(x[:, :1], sequence="x0")
    with pytest.raises(vm.SettingError, match="transition_concentration has shape"):
        MODEL(x, transition_concentration=[1.0, 2.0, 3.0])
    with pytest.raises(vm.SettingError, match="want more than 0"):
        MODEL(x, initial_concentration=0.0)
    with pytest.raises(vm.SettingError, match="states is 0"):
        MODEL(x, states=0)
    with pytest.raises(vm.DataError, match="too few rows"):
        MODEL(x[:1], states=2)
