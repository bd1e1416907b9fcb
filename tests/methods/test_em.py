"""EM against scikit-learn, a closed form, NumPyro's joint, and the algorithm once more in plain NumPy and SciPy."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree
from numpy.testing import assert_allclose
from scipy import stats
from scipy.special import logsumexp
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

import vi_vs_mcmc as vm
from vi_vs_mcmc import engine, expfam
from vi_vs_mcmc.call import unconstrain
from vi_vs_mcmc.methods.em import EM
from vi_vs_mcmc.methods.maximise import climb
from vi_vs_mcmc.methods.registry import resolve, with_restarts
from vi_vs_mcmc.streams import MODES, stream

RESTARTS = 3  # one shape, and so one compilation, for the file
SETTINGS = EM(restarts=RESTARTS, tol=1e-12)
SITES = ("weights", "means", "precisions", "covariances")


@pytest.fixture(autouse=True)
def _float64():
    with jax.enable_x64(True):
        yield


@pytest.fixture(scope="module")
def problem():
    """Two overlapping clouds of 80 rows, off centre and off scale, and a prior that is flat in nothing."""
    rng = np.random.default_rng(4)
    shift = np.where(rng.random(80) < 0.35, 2.2, 0.0)
    x = (rng.standard_normal((80, 2)) @ [[1.0, 0.4], [0.0, 0.8]] + shift[:, None]) * [0.1, 20.0] + [3.0, -50.0]
    return vm.load("gmm")(x, components=2, concentration=1.7)


@pytest.fixture(scope="module")
def fitted(problem):
    with jax.enable_x64(True):
        return SETTINGS.fit(problem, jax.random.key(20), chains=2, draws=3)


def starts(problem, key):
    return engine.starts(problem.conjugate, stream(key, MODES), RESTARTS)


def at(tree, index: int):
    return jax.tree.map(lambda leaf: jnp.asarray(leaf[index]), tree)


def beginning(problem, log_joint: float):
    """The random start at which log p(x, theta) is that."""
    model, every = problem.conjugate, starts(problem, jax.random.key(20))
    found = [model.mode(at(every, r)) for r in range(RESTARTS)]
    return min(found, key=lambda theta: abs(float(engine.log_p(model, theta)) - log_joint))


# --- the algorithm by the book


def log_rho(x, theta) -> np.ndarray:
    """log p(x_n, z_n = k | theta), (rows, K)."""
    each = zip(*(theta[site] for site in ("weights", "means", "covariances")), strict=True)
    return np.stack([np.log(w) + stats.multivariate_normal(m, c).logpdf(x) for w, m, c in each], 1)


def log_prior(theta, prior) -> float:
    out = stats.dirichlet(prior["concentration"]).logpdf(theta["weights"])
    for k, precision in enumerate(theta["precisions"]):
        out += stats.wishart(prior["degrees_of_freedom"][k], prior["scale"][k]).logpdf(precision)
        spread = np.linalg.inv(prior["mean_precision"][k] * precision)
        out += stats.multivariate_normal(prior["mean"][k], spread).logpdf(theta["means"][k])
    return float(out)


def maximised(x, r, prior) -> dict[str, np.ndarray]:
    """The modes of Dirichlet and normal-Wishart posteriors, given how much each row belongs to each component."""
    counts, dimension = r.sum(0), x.shape[1]
    weights = prior["concentration"] - 1 + counts
    means, precisions = [], []
    for k, n in enumerate(counts):
        b0, m0, nu = prior["mean_precision"][k], prior["mean"][k], prior["degrees_of_freedom"][k] + n
        centre = r[:, k] @ x / n
        scatter = (x - centre).T @ (r[:, [k]] * (x - centre))
        pull = np.outer(centre - m0, centre - m0) * b0 * n / (b0 + n)
        means.append((b0 * m0 + n * centre) / (b0 + n))
        precisions.append((nu - dimension) * np.linalg.inv(np.linalg.inv(prior["scale"][k]) + scatter + pull))
    precisions = np.array(precisions)
    theta = {"weights": weights / weights.sum(), "means": np.array(means), "precisions": precisions}
    return theta | {"covariances": np.linalg.inv(precisions)}


def test_at_each_step_log_p_is_the_bound_plus_the_divergence_of_the_responsibilities(problem, fitted):
    x, prior, found = problem.args[0], problem.kwargs, fitted["variational"].to_dataset()
    steps = found.sizes["sweep"]
    assert_allclose(found["elbo_restarts"].values[0, :steps], found["elbo"])
    first = beginning(problem, float(found["log_joint_start"]))
    theta = {site: np.asarray(value) for site, value in first.items()}
    joint = logsumexp(log_rho(x, theta), axis=1).sum() + log_prior(theta, prior)
    assert_allclose(found["log_joint_start"], joint, rtol=0, atol=1e-9)
    assert steps > 20
    for step in range(steps):
        rho = log_rho(x, theta)
        log_r = rho - logsumexp(rho, axis=1, keepdims=True)
        r = np.exp(log_r)
        theta = maximised(x, r, prior)
        rho = log_rho(x, theta)
        bound = (r * (rho - log_r)).sum() + log_prior(theta, prior)
        kl = (r * (log_r - (rho - logsumexp(rho, axis=1, keepdims=True)))).sum()
        joint = logsumexp(rho, axis=1).sum() + log_prior(theta, prior)
        now = found.isel(sweep=step)
        assert_allclose([now["elbo"], now["log_joint"]], [bound, joint], rtol=0, atol=1e-9)
        assert_allclose(now["log_joint"] - now["elbo"], kl, rtol=0, atol=1e-9)
        assert_allclose(now["kl"], kl, rtol=0, atol=1e-9)
    ends = np.argsort(-theta["weights"])
    for site in SITES:
        assert_allclose(fitted["posterior"][site].values[1, 2], theta[site][ends], rtol=1e-7)


def test_an_e_step_closes_the_gap_an_m_step_opens_it_and_neither_goes_down(fitted):
    found = fitted["variational"].to_dataset()
    bound, joint = found["elbo"].values, np.r_[found["log_joint_start"].values, found["log_joint"].values]
    assert (bound > joint[:-1] - 1e-10).all()
    assert (joint[1:] > bound - 1e-10).all()
    assert (found["kl"].values[:5] > 1e-4).all()
    assert found["kl"].values[-1] < 1e-10
    assert fitted.attrs["elbo"] == joint[-1]


# --- where it ends


def test_with_a_flat_prior_it_is_the_maximum_likelihood_of_scikit_learn(problem, key):
    model = problem.conjugate
    flat = dataclasses.replace(model, prior=jax.tree.map(jnp.zeros_like, model.prior))
    found = climb(flat, engine.starts(model, stream(key, MODES), RESTARTS), tol=1e-13, max_steps=5000)
    theta = {site: np.asarray(value) for site, value in flat.mode(at(found.eta, 0)).items()}
    peer = GaussianMixture(
        2,
        tol=0,
        reg_covar=0,
        max_iter=3000,
        weights_init=theta["weights"].round(1) / theta["weights"].round(1).sum(),  # near enough to end at the same mode
        means_init=theta["means"].round(1),
        precisions_init=2 * theta["precisions"],
    )
    with pytest.warns(ConvergenceWarning):  # a gain below 0 cannot be
        peer.fit(problem.args[0])
    assert_allclose(theta["weights"], peer.weights_, rtol=1e-6)
    assert_allclose(theta["means"], peer.means_, rtol=1e-6)
    assert_allclose(theta["covariances"], peer.covariances_, rtol=1e-6)
    assert_allclose(found.end()[0], peer.score(problem.args[0]) * 80, rtol=1e-12)


@pytest.mark.slow
def test_where_it_ends_numpyros_density_is_stationary_and_falls_on_every_side(problem, fitted):
    theta = {site: jnp.asarray(fitted["posterior"][site].values[0, 0]) for site in problem.latent}
    call, arrays = problem.bound
    here = unconstrain(problem.supports, theta)[0]
    flat, unflatten = ravel_pytree(here)

    def log_joint(flat):
        """With respect to the constrained sites: unconstrained coordinates only keep every direction feasible."""
        u = unflatten(flat)
        sites = {site: value for site, value in call.constrain(arrays, u).items() if site in problem.latent}
        return call.log_density(arrays, u) - unconstrain(problem.supports, sites)[1]

    value, slope = jax.jit(jax.value_and_grad(log_joint))(flat)
    assert_allclose(value, fitted.attrs["elbo"], rtol=1e-12)
    assert np.abs(slope).max() < 1e-6  # curvatures are 10 to 100 nats, so this is a hundred-millionth of an sd
    around = flat + 1e-2 * np.random.default_rng(5).standard_normal((200, flat.size))
    assert (jax.jit(jax.vmap(log_joint))(around) < value).all()


@pytest.mark.slow
def test_one_component_is_the_mode_of_its_normal_wishart_posterior(key):
    x = np.random.default_rng(1).standard_normal((30, 2)) @ [[1.0, 0.0], [0.7, 0.5]] + [4.0, 5.0]
    problem = vm.load("gmm")(x, components=1)
    tree = EM(restarts=1).fit(problem, key, chains=1, draws=1)
    theta = {site: tree["posterior"][site].values[0, 0] for site in SITES}
    wanted = maximised(x, np.ones((30, 1)), problem.kwargs)
    for site in SITES:
        assert_allclose(theta[site], wanted[site], rtol=1e-10)
    log_p = stats.multivariate_normal(theta["means"][0], theta["covariances"][0]).logpdf(x).sum()
    assert_allclose(tree.attrs["elbo"], log_p + log_prior(theta, problem.kwargs), rtol=1e-12)
    assert tree["variational"].sizes["sweep"] == 1
    assert tree["variational"]["kl"].values < 1e-12  # nothing is hidden; 30 rows have rounding


def test_modes_beat_their_neighbours_by_scipys_densities():
    rng = np.random.default_rng(2)
    alpha, nu, beta, mean = np.array([1.5, 4.0, 2.0]), 7.3, 0.8, np.array([1.0, -2.0])
    root = rng.standard_normal((2, 2))
    inverse = root @ root.T + np.eye(2)
    weights = np.asarray(expfam.dirichlet_mode(jnp.asarray(alpha - 1)))
    familiar = (np.array([beta]), mean[None], inverse[None], np.array([nu]))
    eta = expfam.normal_wishart_natural(expfam.NormalWishartParameters(*(jnp.asarray(a) for a in familiar)))
    top = {site: np.asarray(value)[0] for site, value in expfam.normal_wishart_mode(eta).items()}
    assert_allclose(top["covariances"], np.linalg.inv(top["precisions"]))
    dirichlet = stats.dirichlet(alpha)
    wishart = stats.wishart(nu, np.linalg.inv(inverse))
    density = lambda m, p: wishart.logpdf(p) + stats.multivariate_normal(mean, np.linalg.inv(beta * p)).logpdf(m)
    for _ in range(50):
        near = weights * np.exp(0.05 * rng.standard_normal(3))
        assert dirichlet.logpdf(near / near.sum()) < dirichlet.logpdf(weights)
        turn = np.eye(2) + 0.05 * rng.standard_normal((2, 2))
        moved = density(top["means"] + 0.05 * rng.standard_normal(2), turn @ top["precisions"] @ turn.T)
        assert moved < density(top["means"], top["precisions"])


# --- where there is nowhere to end


@pytest.mark.parametrize(
    ("setting", "site"), [({"concentration": 0.9}, "weights"), ({"degrees_of_freedom": 1.5}, "precisions")]
)
def test_a_prior_without_a_highest_point_is_refused_with_one_that_has(problem, key, setting, site):
    unbounded = vm.load("gmm")(problem.args[0], components=2, **setting)
    with pytest.raises(vm.SettingError, match=f"without bound in {site}; give a prior .* concentration of 1 or more"):
        SETTINGS.fit(unbounded, key, chains=1, draws=1)


def test_a_component_that_dies_under_a_prior_without_a_mode_of_its_own_is_an_error(problem, key):
    x = problem.args[0]
    away = x.mean(0) + [[0.0, 0.0], [100.0, 0.0]] * x.std(0)
    dying = vm.load("gmm")(x, components=2, mean=away, mean_precision=[1.0, 1e4], degrees_of_freedom=2)
    with pytest.raises(vm.NumericalError, match=r"no highest point in precisions.*degrees_of_freedom above"):
        SETTINGS.fit(dying, key, chains=1, draws=1)
    kept = vm.load("gmm")(x, components=2, mean=away, mean_precision=[1.0, 1e4])  # by default D + 4
    tree = SETTINGS.fit(kept, key, chains=1, draws=1)
    assert tree.attrs["status"] == "converged"
    assert tree["posterior"]["weights"].values[0, 0, 1] < 1e-9  # switched off; concentration is 1


def test_a_component_on_one_row_has_no_maximum_likelihood(problem):
    model = problem.conjugate
    rows = model.rows.at[:3].set(9.0)  # three equal rows, far from the others
    flat = dataclasses.replace(model, rows=rows, prior=jax.tree.map(jnp.zeros_like, model.prior))
    hard = jnp.stack([jnp.arange(80) < 3, jnp.arange(80) >= 3], 1).astype(float)
    from vi_vs_mcmc.models.gmm.structure import statistics

    soft = jax.tree.map(lambda leaf: jnp.stack([leaf] * RESTARTS), statistics(0.9 * hard + 0.05, rows))
    found = climb(flat, soft, tol=1e-12, max_steps=2000)
    assert found.left.all()


# --- what it hands back


def test_every_draw_is_the_point_with_labels_by_weight(problem, fitted):
    for site in SITES:
        values = fitted["posterior"][site].values
        assert values.shape[:2] == (2, 3)
        assert (values == values[0, 0]).all()
        assert_allclose(fitted["variational"][f"mode_{site}"], values[0, 0])
    assert (np.diff(fitted["posterior"]["weights"].values[0, 0]) < 0).all()
    assert "sample_stats" not in fitted.children
    assert fitted.attrs["point_estimate"] == 1
    assert "closed_form" not in fitted.attrs
    assert fitted.attrs["restarts_agreeing"] <= fitted.attrs["restarts"] == RESTARTS
    assert fitted.attrs["status"] == "converged"


def test_too_few_steps_are_not_convergence(problem, key):
    tree = EM(restarts=RESTARTS, max_steps=4).fit(problem, key, chains=1, draws=1)
    assert tree.attrs["status"] == "not converged"
    assert "after 4 steps" in tree.attrs["status_sentence"]
    assert tree["variational"].sizes["sweep"] == 4


def test_it_has_a_name_and_its_restarts_can_be_set():
    assert resolve("em") == EM()
    assert with_restarts("em", 3) == EM(restarts=3)


@pytest.mark.parametrize("wrong", [{"tol": 0.0}, {"restarts": 0}, {"max_steps": 1.5}])
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(vm.SettingError):
        EM(**wrong)


def test_a_program_without_a_closed_form_is_refused(key):
    import numpyro
    import numpyro.distributions as dist

    with pytest.raises(vm.SettingError, match="em needs a closed-form structure in one block"):
        EM().fit(vm.Problem(lambda: numpyro.sample("x", dist.Normal())), key, chains=1, draws=1)


@pytest.mark.slow
def test_its_verdict_is_that_it_is_a_point(lecture):
    found = vm.compare(lecture, methods=["em"], seed=8)
    entry = found.summary["verdicts"]["em"]
    assert entry["verdict"] == ["point estimate"]
    assert entry["sentence"] == "A point, not a distribution: it has no spread to compare."
    assert entry["elbo_marginal"] is None
    rows = found.table.loc[found.table["judged"]]
    assert (rows["sd"] < 1e-9).all()
    assert (rows["bias"].abs() < 1).all()  # 500 rows: a mode is within an sd of the mean
