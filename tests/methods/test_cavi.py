"""Coordinate ascent against what others compute: scikit-learn, closed-form evidence, NumPyro's Monte Carlo ELBO."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pandas
import pytest
from numpy.testing import assert_allclose
from numpyro.infer import Trace_ELBO
from scipy import stats
from scipy.special import digamma, logsumexp, softmax
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import BayesianGaussianMixture

import vi_vs_mcmc as vm
from vi_vs_mcmc import engine
from vi_vs_mcmc.ascent import ascend
from vi_vs_mcmc.streams import MODES, stream

CHAINS, DRAWS = 4, 2500
PARTICLES = 2000


@pytest.fixture(autouse=True)
def _float64():
    with jax.enable_x64(True):
        yield


@pytest.fixture(scope="module")
def fitted(lecture):
    return vm.fit(lecture, "cavi", seed=3, chains=CHAINS, draws=DRAWS)


@pytest.fixture(scope="module")
def q(fitted) -> dict[str, np.ndarray]:
    """The fitted parameters under their familiar names."""
    return {name.removeprefix("q_"): v.values for name, v in fitted["variational"].items() if name.startswith("q_")}


def responsibilities(q: dict[str, np.ndarray], x: np.ndarray) -> np.ndarray:
    """PRML 10.46 and 10.49, in NumPy."""
    dimension = x.shape[1]
    offset = x[:, None] - q["mean"]
    nu = q["degrees_of_freedom"]
    square = dimension / q["mean_precision"] + nu * np.einsum("nki,kij,nkj->nk", offset, q["scale"], offset)
    log_det = (
        digamma((nu[:, None] - np.arange(dimension)) / 2).sum(1)
        + dimension * np.log(2)
        + np.linalg.slogdet(q["scale"])[1]
    )
    return softmax(digamma(q["concentration"]) + 0.5 * (log_det - square), axis=1)


class Started(BayesianGaussianMixture):
    """scikit-learn's variational mixture, started from given responsibilities."""

    def _initialize_parameters(self, X, random_state, **_):
        self._initialize(X, self.given)


def test_the_fixed_point_is_scikit_learns(lecture, q):
    x, prior = lecture.table.values, lecture.kwargs
    peer = Started(
        n_components=3,
        covariance_prior=np.linalg.inv(prior["scale"][0]),
        mean_precision_prior=prior["mean_precision"][0],
        mean_prior=prior["mean"][0],
        degrees_of_freedom_prior=prior["degrees_of_freedom"][0],
        weight_concentration_prior=prior["concentration"][0],
        weight_concentration_prior_type="dirichlet_distribution",
        reg_covar=0,
        tol=0,
        max_iter=150,
    )
    peer.given = np.eye(3)[responsibilities(q, x).argmax(1)]  # hard: the way to the fixed point is its own
    with pytest.warns(ConvergenceWarning):  # an ELBO change below 0 cannot be
        peer.fit(x)
    assert_allclose(q["concentration"], peer.weight_concentration_, rtol=1e-6)
    assert_allclose(q["mean_precision"], peer.mean_precision_, rtol=1e-6)
    assert_allclose(q["mean"], peer.means_, atol=1e-6)
    assert_allclose(q["degrees_of_freedom"], peer.degrees_of_freedom_, rtol=1e-6)
    assert_allclose(q["scale"], peer.precisions_ / peer.degrees_of_freedom_[:, None, None], rtol=1e-6)


def test_the_updates_written_in_the_lectures_symbols_leave_the_fixed_point_where_it_is(lecture, q):
    x, prior = lecture.table.values, lecture.kwargs
    r = responsibilities(q, x)
    counts = r.sum(0)
    centres = r.T @ x / counts[:, None]
    offset = x[:, None] - centres
    scatter = np.einsum("nk,nki,nkj->kij", r, offset, offset)
    pull = centres - prior["mean"]
    beta = prior["mean_precision"] + counts
    shrink = prior["mean_precision"] * counts / beta
    inverse = np.linalg.inv(prior["scale"]) + scatter + shrink[:, None, None] * pull[:, :, None] * pull[:, None, :]
    mean = (prior["mean_precision"][:, None] * prior["mean"] + counts[:, None] * centres) / beta[:, None]
    # the residual is below 1e-8 (1 + |eta|), and |eta| is below 1000
    assert_allclose(q["concentration"], prior["concentration"] + counts, rtol=1e-6)
    assert_allclose(q["mean_precision"], beta, rtol=1e-6)
    assert_allclose(q["mean"], mean, atol=1e-6)
    assert_allclose(q["degrees_of_freedom"], prior["degrees_of_freedom"] + counts, rtol=1e-6)
    assert_allclose(np.linalg.inv(q["scale"]), inverse, rtol=1e-6, atol=1e-6)


def test_three_of_six_components_switch_off_on_the_lecture_data():
    model = vm.load("gmm")(components=6).conjugate
    found = model.parameters(vm.CAVI().optima(model, jax.random.key(3)).best())
    # concentrations 187.74, 163.66, 151.45, and thrice 1.0512 where the prior's is 1
    assert (found["concentration"][:3] > 100).all()
    assert_allclose(found["concentration"][3:], 1, atol=0.1)
    assert_allclose(found["mean_precision"][3:], 1, atol=0.1)


def mean_and_error(log_ratio) -> tuple[float, float]:
    log_ratio = np.asarray(log_ratio)
    return log_ratio.mean(), log_ratio.std(ddof=1) / np.sqrt(len(log_ratio))


def monte_carlo_elbo(problem, guide, **kwargs) -> tuple[float, float]:
    """NumPyro's own estimate, one particle at a time, so that its error is known."""
    one = lambda key: -Trace_ELBO().loss(key, {}, problem.program, guide, *problem.args, **problem.kwargs, **kwargs)
    keys = jax.random.split(jax.random.key(11), PARTICLES)
    return mean_and_error(jax.jit(lambda keys: jax.lax.map(one, keys, batch_size=100))(keys))


@pytest.fixture(scope="module")
def guides(lecture, q):
    """q(theta), and q(theta) q(z), as NumPyro guides."""
    r = responsibilities(q, lecture.table.values)

    def of_theta(*args, **kwargs):
        numpyro.sample("weights", dist.Dirichlet(q["concentration"]))
        with numpyro.plate("component", len(q["concentration"])):
            precisions = numpyro.sample("precisions", dist.Wishart(q["degrees_of_freedom"], scale_matrix=q["scale"]))
            spread = q["mean_precision"][:, None, None] * precisions
            numpyro.sample("means", dist.MultivariateNormal(q["mean"], precision_matrix=spread))

    def of_both(x, *args, **kwargs):
        of_theta()
        with numpyro.plate("observation", len(x)):
            numpyro.sample("z", dist.Categorical(r))

    return of_theta, of_both


def test_the_closed_form_elbo_is_numpyros_monte_carlo_elbo_with_discrete_allocations(lecture, fitted, guides):
    mean, error = monte_carlo_elbo(lecture, guides[1], allocations=True)
    assert error < 0.1
    assert abs(mean - fitted.attrs["elbo"]) < 4 * error
    assert_allclose(fitted.attrs["elbo"], -1753.36, atol=0.01)


def test_the_marginal_elbo_is_numpyros_with_allocations_summed_out(lecture, fitted, guides):
    mean, error = monte_carlo_elbo(lecture, guides[0])
    assert error < 0.1
    assert abs(mean - fitted.attrs["elbo_marginal"]) < 4 * np.hypot(error, fitted.attrs["elbo_marginal_se"])
    assert_allclose(fitted.attrs["elbo_marginal"], -1752.33, atol=0.05)


def test_summing_out_allocations_raises_the_bound(fitted):
    assert fitted.attrs["elbo_marginal"] > fitted.attrs["elbo"] + 10 * fitted.attrs["elbo_marginal_se"]


def test_an_elbo_gain_of_a_nanonat_stops_farther_from_the_fixed_point_than_the_fixed_points_own_rule(lecture):
    model = lecture.conjugate
    starts = vm.CAVI().optima(model, jax.random.key(3)).start  # the best one first
    climb = lambda tol: ascend(model, starts, tol=tol, max_sweeps=1000)
    sds = jax.jit(lambda eta: [jnp.sqrt(v[1]) for v in model.moments(eta).values()])
    first = lambda tree: jax.tree.map(lambda leaf: leaf[0], tree)
    truth, ruled = sds(first(climb(1e-13).eta)), climb(1e-8)
    trace = ruled.trace[0, : ruled.sweeps[0]]
    early = (
        int(np.flatnonzero(np.diff(trace) < 1e-9 * np.abs(trace[:-1]))[0]) + 1
    )  # the first sweep with so small a gain
    by_gain = jax.jit(lambda eta: jax.lax.fori_loop(0, early, lambda _, eta: engine.sweep(model, eta)[2], eta))(
        first(starts)
    )
    error = lambda eta: max(np.abs(a / b - 1).max() for a, b in zip(sds(eta), truth, strict=True))
    assert early < ruled.sweeps[0]
    assert error(first(ruled.eta)) < 1e-7
    assert error(by_gain) > 100 * error(first(ruled.eta))


def test_the_log_likelihood_of_the_last_sweep_is_scipys_at_the_expected_parameters(lecture, fitted, q):
    weights = q["concentration"] / q["concentration"].sum()
    covariances = np.linalg.inv(q["degrees_of_freedom"][:, None, None] * q["scale"])
    rows = [
        np.log(w) + stats.multivariate_normal(m, c).logpdf(lecture.table.values)
        for w, m, c in zip(weights, q["mean"], covariances, strict=True)
    ]
    found = fitted["variational"]["log_likelihood"].values
    assert found.shape == fitted["variational"]["elbo"].shape
    assert_allclose(found[-1], logsumexp(rows, axis=0).sum(), atol=1e-6)


def test_the_trace_rises_and_ends_at_the_elbo(fitted):
    trace = fitted["variational"]["elbo"].values
    assert (np.diff(trace) > -1e-9).all()
    assert_allclose(trace[-1], fitted.attrs["elbo"], atol=1e-9)


@pytest.mark.parametrize("site", ["weights", "means", "precisions", "covariances"])
def test_draws_have_the_closed_forms_means_and_sds(fitted, site):
    draws = fitted["posterior"][site].values.reshape(CHAINS * DRAWS, -1)
    mean, sd = (fitted["variational"][f"{kind}_{site}"].values.ravel() for kind in ("mean", "sd"))
    # degrees of freedom are 150 and more: every moment needed for these errors exists
    for values, truth in ((draws, mean), ((draws - mean) ** 2, sd**2)):
        error = values.std(0, ddof=1) / np.sqrt(len(values))
        assert (np.abs(values.mean(0) - truth) < 4 * error).all(), (values.mean(0) - truth) / error


def test_log_p_and_log_q_of_draws_are_those_of_scipy_up_to_the_change_of_coordinates(lecture, fitted, q):
    first = {site: fitted["posterior"][site].values[0, 0] for site in ("weights", "means", "precisions", "covariances")}
    log_q, log_p = stats.dirichlet(q["concentration"]).logpdf(first["weights"]), 0.0
    prior = lecture.kwargs
    log_p = stats.dirichlet(prior["concentration"]).logpdf(first["weights"])
    for k in range(3):
        normal = lambda m, beta, k=k: stats.multivariate_normal(
            m[k], np.linalg.inv(beta[k] * first["precisions"][k])
        ).logpdf(first["means"][k])
        log_q += stats.wishart(q["degrees_of_freedom"][k], q["scale"][k]).logpdf(first["precisions"][k])
        log_q += normal(q["mean"], q["mean_precision"])
        log_p += stats.wishart(prior["degrees_of_freedom"][k], prior["scale"][k]).logpdf(first["precisions"][k])
        log_p += normal(prior["mean"], prior["mean_precision"])
    rows = [
        np.log(first["weights"][k])
        + stats.multivariate_normal(first["means"][k], first["covariances"][k]).logpdf(lecture.table.values)
        for k in range(3)
    ]
    log_p += logsumexp(rows, axis=0).sum()
    stats_group = fitted["sample_stats"]
    found = stats_group["log_p"].values[0, 0] - stats_group["log_q"].values[0, 0]  # the coordinates cancel
    assert_allclose(found, log_p - log_q, atol=1e-7)


def test_the_same_seed_gives_the_same_bytes_and_another_seed_another_posterior(lecture, fitted):
    again, other = (vm.fit(lecture, "cavi", seed=seed, chains=CHAINS, draws=DRAWS)["posterior"] for seed in (3, 4))
    for site, values in fitted["posterior"].items():
        assert values.values.tobytes() == again[site].values.tobytes()
        assert (values.values != other[site].values).any()


def test_the_residual_of_what_is_returned_is_below_tol(lecture):
    model = lecture.conjugate
    for tol in (1e-4, 1e-8):
        optima = vm.CAVI(tol=tol).optima(model, jax.random.key(3))
        assert optima.ascent.converged.all()
        assert (optima.ascent.residual < tol).all()
        _, image = engine.bound_and_map(model, jax.tree.map(jnp.asarray, optima.best()))
        moved = jax.tree.map(lambda f, e: np.max(np.abs(f - e) / (1 + np.abs(e))), image, optima.best())
        assert_allclose(max(jax.tree.leaves(moved)), optima.ascent.residual[0], rtol=0.01, atol=1e-12)


def test_restarts_come_best_first_and_the_heaviest_component_too(lecture):
    optima = vm.CAVI().optima(lecture.conjugate, jax.random.key(3))
    assert (np.diff(optima.ascent.elbo) <= 0).all()
    assert (np.diff(optima.eta["weights"], axis=1) <= 0).all()


def test_too_few_sweeps_are_not_convergence_and_the_sentence_has_their_number(lecture):
    tree = vm.fit(lecture, vm.CAVI(max_sweeps=5, tol=1e-12), seed=0, chains=1, draws=2)
    assert tree.attrs["status"] == "not converged"
    assert "after 5 sweeps" in tree.attrs["status_sentence"]
    assert tree["variational"].sizes["sweep"] == 5


def test_a_program_without_a_closed_form_is_refused():
    def program():
        numpyro.sample("x", dist.Normal())

    with pytest.raises(vm.SettingError, match="closed-form"):
        vm.fit(vm.Problem(program), "cavi", seed=0)


@pytest.mark.parametrize("shape", ["lecture", "overlapping"])
def test_first_passes_in_float32_end_at_the_same_optimum_and_say_how_far_off_they_were(lecture, shape):
    rng = np.random.default_rng(3)
    wide = np.concatenate([rng.normal(size=(700, 3)), 1.5 + rng.normal(size=(500, 3)) * [1.0, 0.5, 2.0]])
    problem = lecture if shape == "lecture" else vm.load("gmm")(1e4 + wide, components=2)
    usual, quick = (
        vm.CAVI(float32=single).optima(problem.conjugate, stream(jax.random.key(0), MODES)) for single in (False, True)
    )
    assert usual.single is None
    assert quick.ascent.converged.all()
    assert_allclose(np.unique(quick.ascent.elbo.round(4)), np.unique(usual.ascent.elbo.round(4)))
    assert_allclose(quick.ascent.elbo[0], usual.ascent.elbo[0], rtol=1e-10)
    for a, b in zip(jax.tree.leaves(quick.best()), jax.tree.leaves(usual.best()), strict=True):
        assert_allclose(a, b, rtol=1e-5, atol=1e-5 * np.abs(b).max())
    assert (quick.ascent.sweeps < usual.ascent.sweeps).all()
    off = abs(quick.single.elbo[0] / quick.ascent.trace[0, 0] - 1)
    assert 0 < off < 1e-6
    if shape == "lecture":
        said = vm.fit(problem, vm.CAVI(float32=True), seed=0, draws=10).attrs["status_sentence"]
        assert "sweeps in float32 knew the ELBO to" in said


def test_float32_is_refused_where_rows_are_streamed(tmp_path):
    pandas.DataFrame({"a": np.arange(50.0), "b": np.arange(50.0) ** 2}).to_parquet(tmp_path / "rows.parquet")
    problem = vm.load("gmm")(vm.stream(tmp_path / "rows.parquet"), components=1)
    with pytest.raises(vm.SettingError, match="float32 is for rows in memory"):
        vm.fit(problem, vm.CAVI(float32=True), draws=2)
