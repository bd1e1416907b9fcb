"""Linear response where it is exact, against finite differences of the fixed point, where it must refuse, and its draws."""

import dataclasses
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import pytest
from numpy.testing import assert_allclose
from numpyro import distributions as dist
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

import vi_vs_mcmc as vm
from vi_vs_mcmc import engine, response
from vi_vs_mcmc.call import unconstrain
from vi_vs_mcmc.methods import lrvb

CHAINS, DRAWS = 4, 5000
SITES = ("weights", "means", "covariances")


@pytest.fixture(autouse=True)
def _float64():
    with jax.enable_x64(True):
        yield


@pytest.fixture(scope="module")
def fitted(lecture):
    return vm.fit(lecture, "lrvb", seed=3, chains=CHAINS, draws=DRAWS)


@pytest.fixture(scope="module")
def optimum(lecture):
    with jax.enable_x64(True):
        optima = vm.CAVI().optima(lecture.conjugate, jax.random.key(0))
        eta, residual = lrvb._polished(lecture.conjugate, jax.tree.map(jnp.asarray, optima.best()))
    assert residual < 1e-13
    return eta


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Factorised:
    """Independent normals for N(solve(precision, linear), inv(precision)): the coupling of factors lives in `linked`."""

    rows: jax.Array
    precision: jax.Array
    linear: jax.Array

    @property
    def prior(self):
        return {"first": jnp.zeros_like(self.linear), "second": jnp.zeros_like(self.linear)}

    @staticmethod
    def log_normaliser(eta):
        return (-(eta["first"] ** 2) / (4 * eta["second"]) - 0.5 * jnp.log(-2 * eta["second"])).sum()

    @staticmethod
    def coefficients(m):
        return m

    def local(self, m, batch):
        return jnp.zeros(len(batch))

    def linked(self, m):
        x, square = m["first"], m["second"]
        diagonal = jnp.diag(self.precision)
        crossed = x @ self.precision @ x - (diagonal * x**2).sum()
        return self.linear @ x - 0.5 * (diagonal * square).sum() - 0.5 * crossed


def test_on_a_gaussian_it_is_exact():
    rng = np.random.default_rng(0)
    root = rng.normal(size=(5, 5))
    covariance = root @ root.T + 0.1 * np.eye(5)
    precision, linear = np.linalg.inv(covariance), rng.normal(size=5)
    model = Factorised(jnp.zeros(1), jnp.asarray(precision), jnp.asarray(linear))
    mean, variance = covariance @ linear, 1 / np.diag(precision)
    eta = {"first": jnp.asarray(mean / variance), "second": jnp.asarray(-0.5 / variance)}
    means = lambda eta: -eta["first"] / (2 * eta["second"])
    found = response.respond(model, eta, jax.jacrev(means)(eta))
    assert_allclose(np.diag(variance) + np.asarray(found.added), covariance, rtol=1e-8, atol=1e-8)
    assert bool(found.positive)


def test_the_spectral_radius_is_the_largest_eigenvalue_though_blocks_have_larger_negative_ones():
    # normals that pull each other apart: dF/deta has the eigenvalues of I - precision, .4 (twice) and -.8
    precision = jnp.asarray(0.6 * np.eye(3) + 0.4)
    model = Factorised(jnp.zeros(1), precision, jnp.zeros(3))
    eta = {"first": jnp.zeros(3), "second": jnp.full(3, -0.5)}
    start = {"first": jnp.asarray([1.0, 2.0, -1.0]), "second": jnp.zeros(3)}
    assert_allclose(response.spectral_radius(model, eta, start), 0.4, atol=1e-6)


@pytest.mark.slow
def test_it_is_the_slope_of_the_fixed_point_when_the_log_joint_is_tilted(lecture, optimum):
    model = lecture.conjugate
    means = lambda eta: jnp.concatenate([jnp.ravel(model.moments(eta)[site][0]) for site in SITES])

    @jax.jit
    def tilted(by):
        """Means under q when `by` log weights[0] is added to the log joint."""
        prior = {**model.prior, "weights": model.prior["weights"].at[0].add(by)}
        moved = dataclasses.replace(model, prior=prior)
        eta = jax.lax.fori_loop(0, 200, lambda _, eta: engine.sweep(moved, eta)[2], optimum)
        return means(response.newton(moved, eta)[0])

    step = 1e-3  # an error of step^2, relative
    slope = (tilted(step) - tilted(-step)) / (2 * step)
    zero = jax.tree.map(jnp.zeros_like, optimum)
    statistic = {**zero, "weights": zero["weights"].at[0].set(1.0)}
    own = response.covariance_product(model, optimum, statistic)
    directions = jax.jacrev(means)(optimum)
    both = jax.tree.map(lambda a, b: jnp.concatenate([a, b[None]]), directions, own)
    added = response.respond(model, optimum, both).added[:-1, -1]
    assert_allclose(directions["weights"][:, 0] + added, slope, rtol=1e-5, atol=1e-5 * np.abs(slope).max())


@pytest.mark.slow
def test_products_are_those_of_the_hessians(lecture, optimum):
    model = lecture.conjugate
    m = jax.grad(model.log_normaliser)(optimum)
    v = jax.tree.map(lambda x: jnp.cos(jnp.arange(x.size, dtype=float)).reshape(x.shape), m)
    v["components"] = v["components"]._replace(matrix=v["components"].matrix + v["components"].matrix.swapaxes(1, 2))
    by = 1e-6
    for product, of, at in (
        (response.covariance_product(model, optimum, v), jax.grad(model.log_normaliser), optimum),
        (response.curvature_product(model, m, v), lambda m: engine.total(model, m)[1], m),
    ):
        high = of(jax.tree.map(lambda x, d: x + by * d, at, v))
        low = of(jax.tree.map(lambda x, d: x - by * d, at, v))
        for found, a, b in zip(*map(jax.tree.leaves, (product, high, low)), strict=True):
            slope = (a - b) / (2 * by)
            assert_allclose(found, slope, atol=1e-6 * np.abs(slope).max() + 1e-6)


def test_the_means_are_cavis_and_the_sds_are_larger_where_mean_field_cut(lecture, fitted):
    cavi = vm.fit(lecture, "cavi", seed=3, chains=1, draws=10)["variational"]
    for site in SITES:
        own = fitted["variational"]
        assert_allclose(own[f"mean_{site}"], cavi[f"mean_{site}"], rtol=1e-6, atol=1e-8)
        assert (own[f"sd_{site}"].values > cavi[f"sd_{site}"].values).all()
    assert fitted.attrs["status"] == "converged"
    assert 0 < fitted.attrs["spectral_radius"] < 1


def test_its_draws_have_the_formulas_sds_and_qs_means(fitted):
    draws, closed = fitted["posterior"].to_dataset(), fitted["variational"].to_dataset()
    for site in SITES:
        sd = closed[f"sd_{site}"].values
        # 4 errors of an sd of 20 000 draws are 2 %; what an affine map cannot do has been seen to cost 1.3 %
        assert_allclose(draws[site].std(("chain", "draw")), sd, rtol=0.035)
        distance = np.abs(draws[site].mean(("chain", "draw")).values - closed[f"mean_{site}"].values)
        assert (distance < 0.1 * sd).all()


def test_log_p_and_log_q_are_densities_at_the_draws(lecture, fitted):
    sites = fitted["posterior"].to_dataset()
    theta = {name: sites[name].values.reshape(-1, *sites[name].shape[2:]) for name in lecture.latent}
    u = jax.vmap(lambda t: unconstrain(lecture.supports, t)[0])(theta)
    flat = np.concatenate([np.reshape(u[name], (len(u[name]), -1)) for name in lecture.latent], 1)
    log_p, log_q = (fitted["sample_stats"][name].values.ravel() for name in ("log_p", "log_q"))
    call, arrays = lecture.bound
    some = [0, 777, 19_999]
    expected = [call.log_density(arrays, jax.tree.map(lambda leaf, i=i: leaf[i], u)) for i in some]
    assert_allclose(log_p[some], expected, rtol=1e-10)
    # the mean of f / q under q is 1 for every density f; f is a normal that is narrower than q, so that the mean has an error
    ratio = np.exp(multivariate_normal(flat.mean(0), 0.7 * np.cov(flat.T)).logpdf(flat) - log_q)
    assert abs(ratio.mean() - 1) < 4 * ratio.std() / np.sqrt(len(ratio))


@pytest.mark.slow
def test_importance_ratios_are_better_than_cavis(lecture, fitted):
    """KL(q || p) falls: the bound that log p - log q averages to is nearer to the log evidence."""
    cavi = vm.fit(lecture, "cavi", seed=3, chains=CHAINS, draws=DRAWS)
    bounds = {name: tree.attrs["elbo_marginal"] for name, tree in (("cavi", cavi), ("lrvb", fitted))}
    stats = fitted["sample_stats"]
    evidence = logsumexp((stats["log_p"] - stats["log_q"]).values.ravel()) - np.log(CHAINS * DRAWS)
    assert bounds["cavi"] < bounds["lrvb"] < evidence


def test_a_saddle_of_the_elbo_is_refused():
    rng = np.random.default_rng(1)
    x = np.concatenate([rng.normal(-4, 1, (30, 1)), rng.normal(4, 1, (30, 1))])
    model = vm.load("gmm")(x, components=2).conjugate
    with jax.enable_x64(True):
        share = jnp.full((60, 2), 0.5)
        from vi_vs_mcmc.models.gmm.structure import statistics

        eta = jax.tree.map(jnp.add, model.prior, statistics(share, model.rows))  # both components own half of every row
        eta = jax.lax.fori_loop(0, 50, lambda _, eta: engine.sweep(model, eta)[2], eta)
        assert float(engine.residual(model, eta)) < 1e-9
        found = response.respond(model, eta, lrvb._directions(model, eta, ("means",)))
    assert not bool(found.positive)
    assert "not a strict maximum" in lrvb._refusal(0.0, found)


def test_an_unpolished_fixed_point_is_refused():
    found = SimpleNamespace(positive=True, residual=0.0)
    assert "raise max_sweeps" in lrvb._refusal(1e-5, found)
    assert lrvb._refusal(1e-12, found) == ""


def test_a_model_without_closed_form_is_refused():
    import numpyro
    import numpyro.distributions as dist

    with pytest.raises(vm.SettingError, match="lrvb needs a closed-form structure"):
        vm.fit(vm.Problem(lambda: numpyro.sample("x", dist.Normal())), "lrvb")


def test_a_single_coordinate_is_moved_as_many_are():
    def program(x):
        numpyro.sample("x", dist.Normal(numpyro.sample("mu", dist.Normal(0.0, 1.0)), 1.0), obs=x)

    problem = vm.Problem(program, args=(np.zeros(3),))
    u = np.random.default_rng(0).normal(size=(500, 1))
    moved, _, log_q, why = lrvb._moved(
        problem, {"mu": u[:, 0]}, u, np.array([[3.0 * u.var(ddof=1)]]), np.zeros(500), np.zeros(500)
    )
    assert not why
    assert_allclose(moved["mu"].std() / u.std(), 2.0)
    assert_allclose(log_q, -np.log(2.0))
