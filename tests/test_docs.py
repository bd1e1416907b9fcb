"""The documents tell the truth: names exist, numbers run on, formulas hold, commands parse, Python runs."""

from __future__ import annotations

import ast
import re
import shlex
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import typer
from numpy.testing import assert_allclose
from scipy.special import gammaln, logsumexp, multigammaln, psi

import vi_vs_mcmc as vm
from vi_vs_mcmc import engine, expfam
from vi_vs_mcmc.cli import app

ROOT = Path(__file__).parents[1]
DOCS = {path.name: path.read_text() for path in (ROOT / "docs").glob("*.md")}
DERIVATION, LECTURE = DOCS["derivation.md"], DOCS["lecture.md"]
REFERENCE = re.compile(r"`([\w./-]+/[\w.-]+\.\w+)(?:: ([\w.]+))?`")
ROWS, DIMENSION, COMPONENTS = 60, 3, 4


# --- names, numbers, links, commands


def names(path: Path) -> set[str]:
    """Functions, classes and their methods in a Python file, as `name` or `Class.name`."""
    kinds = (ast.FunctionDef, ast.ClassDef)
    found = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, kinds):
            found.add(node.name)
            inner = [child.name for child in node.body if isinstance(child, kinds)]
            found |= {f"{node.name}.{name}" for name in inner}
    return found


@pytest.mark.parametrize("document", ["derivation.md", "lecture.md", "scale.md"])
def test_every_file_and_function_that_a_document_names_exists(document):
    references = [r for r in REFERENCE.findall(DOCS[document]) if not r[0].startswith("reports/")]
    assert len(references) >= 5
    for path, name in references:
        assert (ROOT / path).is_file(), path
        assert not name or name in names(ROOT / path), f"{path}: {name}"


@pytest.mark.parametrize("document", sorted(DOCS))
def test_every_link_between_documents_leads_somewhere(document):
    for target in re.findall(r"\]\((?!http)([^)#]+)", DOCS[document]):
        assert (ROOT / "docs" / target).exists(), target


def equations() -> list[int]:
    return [int(number) for number in re.findall(r"\\tag\{(\d+)\}", DERIVATION)]


def test_equation_numbers_run_without_a_gap():
    assert equations() == list(range(1, len(equations()) + 1))


def test_every_numbered_equation_names_its_code():
    for tail in re.split(r"\\tag\{\d+\}", DERIVATION)[1:]:
        assert re.match(r"\s*```\s+Code: ", tail), tail[:80]


def test_equation_numbers_that_are_cited_exist():
    code = [p.read_text() for folder in ("vi_vs_mcmc", "models") for p in (ROOT / folder).rglob("*.py")]
    citing = [text for text in code if "docs/derivation.md" in text]
    assert citing, "models/gmm/structure.py cites (9) to (12)"
    for text in (DERIVATION, LECTURE, *citing):
        prose = re.sub(r"```.*?```|\$[^$]*\$", "", text, flags=re.S)
        cited = {int(number) for number in re.findall(r"(?<![\w\])`])\((\d{1,2})\)", prose)}
        assert cited <= set(equations()), cited - set(equations())


def test_the_numbers_that_the_code_cites_are_the_equations_that_it_means():
    for number, symbol in {9: r"\log \rho_{nk}", 10: "r_{nk}", 11: "N_k", 12: r"\alpha_k"}.items():
        blocks = re.findall(r"```math\n(.*?)```", DERIVATION, flags=re.S)
        block = next(b for b in blocks if f"\\tag{{{number}}}" in b)
        assert block.removeprefix("\\begin{aligned}\n").lstrip().startswith(symbol), number


def commands() -> list[list[str]]:
    blocks = re.findall(r"```sh\n(.*?)```", LECTURE, flags=re.S)
    lines = [line for block in blocks for line in block.splitlines()]
    return [shlex.split(line) for line in lines if line.startswith("vi-vs-mcmc ")]


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_every_command_of_the_lecture_page_parses(words):
    _, name, *arguments = words
    command = typer.main.get_command(app).commands[name]
    context = command.make_context(name, list(arguments))  # a usage error raises
    settings = [pair.partition("=")[0] for pair in context.params["settings"] or []]
    from vi_vs_mcmc.methods.registry import resolve
    from vi_vs_mcmc.plugins import load, settings_of

    assert set(settings) <= set(settings_of(load(context.params["model"])))
    for method in context.params["method"] or []:
        resolve(method)


@pytest.mark.slow
def test_every_python_block_of_the_lecture_page_runs(capsys):
    blocks = re.findall(r"```python\n(.*?)```", LECTURE, flags=re.S)
    assert len(blocks) == 2
    for block in blocks:
        exec(compile(block, "docs/lecture.md", "exec"), {})
    printed = capsys.readouterr().out
    for weight in ("0.371", "0.287", "0.361"):
        assert weight in printed
        assert weight.removeprefix("0") in LECTURE
    for nats in ("1985.92", "1970.24", "1753.36", "1666.68", "1767.8", "1667.53"):
        assert f"-{nats}" in printed
        assert f"−{nats}" in LECTURE


# --- formulas


def log_b(W, nu) -> float:
    """PRML B.79."""
    D = len(W)
    return -nu / 2 * np.log(np.linalg.det(W)) - nu * D / 2 * np.log(2) - multigammaln(nu / 2, D)


def log_c(alpha) -> float:
    """PRML B.23."""
    return gammaln(alpha.sum()) - gammaln(alpha).sum()


def textbook_elbo(x, r, q, prior) -> float:
    """The seven terms of PRML 10.70, from 10.71 to 10.77; NumPy and SciPy only.

    Args:
        x: rows (N, D).
        r: responsibilities (N, K).
        q: alpha (K,), beta (K,), m (K, D), W (K, D, D), nu (K,).
        prior: the same.
    """
    alpha, alpha0 = q[0], prior[0]
    D, two_pi = x.shape[1], 2 * np.pi
    log_pi = psi(alpha) - psi(alpha.sum())  # 10.66
    t1 = t4 = t7 = 0.0
    for k, (beta, m, W, nu, beta0, m0, W0, nu0) in enumerate(zip(*q[1:], *prior[1:], strict=True)):
        N = r[:, k].sum()  # 10.51
        xbar = r[:, k] @ x / N  # 10.52
        S = (x - xbar).T @ np.diag(r[:, k]) @ (x - xbar) / N  # 10.53
        digammas = sum(psi((nu + 1 - i) / 2) for i in range(1, D + 1))
        log_det = digammas + D * np.log(2) + np.log(np.linalg.det(W))  # 10.65
        scatter = nu * np.trace(S @ W) + nu * (xbar - m) @ W @ (xbar - m)
        t1 += N / 2 * (log_det - D / beta - scatter - D * np.log(two_pi))  # 10.71
        shift = beta0 * nu * (m - m0) @ W @ (m - m0)
        t4 += 0.5 * (D * np.log(beta0 / two_pi) + log_det - D * beta0 / beta - shift)  # 10.74
        t4 += log_b(W0, nu0) + (nu0 - D - 1) / 2 * log_det - nu / 2 * np.trace(np.linalg.inv(W0) @ W)
        entropy = -log_b(W, nu) - (nu - D - 1) / 2 * log_det + nu * D / 2  # B.82
        t7 += log_det / 2 + D / 2 * np.log(beta / two_pi) - D / 2 - entropy  # 10.77
    t2 = (r * log_pi).sum()  # 10.72
    t3 = log_c(alpha0) + ((alpha0 - 1) * log_pi).sum()  # 10.73
    t5 = (r * np.log(r)).sum()  # 10.75
    t6 = ((alpha - 1) * log_pi).sum() + log_c(alpha)  # 10.76
    return t1 + t2 + t3 + t4 - t5 - t6 - t7


def parameters(rng, components: int = COMPONENTS):
    """A random (alpha, beta, m, W, nu)."""
    root = rng.normal(size=(components, DIMENSION, DIMENSION))
    W = root @ np.swapaxes(root, 1, 2) + 0.2 * np.eye(DIMENSION)
    return (
        rng.gamma(2.0, size=components) + 0.3,
        rng.gamma(2.0, size=components) + 0.3,
        rng.normal(size=(components, DIMENSION)) * 2,
        W,
        DIMENSION - 1 + rng.gamma(3.0, size=components),
    )


def natural(q, model):
    """eta in the structure's own coordinates (21)."""
    alpha, beta, m, W, nu = q
    centre, spread = np.asarray(model.centre), np.asarray(model.spread)
    moved = (beta, (m - centre) / spread, np.linalg.inv(W) / np.outer(spread, spread), nu)
    familiar = expfam.NormalWishartParameters(*(jnp.asarray(a) for a in moved))
    return {"weights": jnp.asarray(alpha - 1), "components": expfam.normal_wishart_natural(familiar)}


@pytest.fixture
def case():
    """Data off centre and off scale, a prior that differs between components, a q that is no fixed point."""
    rng = np.random.default_rng(7)
    x = rng.normal(size=(ROWS, DIMENSION)) * [0.1, 3.0, 40.0] + [5.0, -2.0, 300.0]
    prior, q = (
        (alpha, beta, m * x.std(0) + x.mean(0), W / np.outer(x.std(0), x.std(0)), nu)
        for alpha, beta, m, W, nu in (parameters(rng), parameters(rng))
    )
    names = ("concentration", "mean_precision", "mean", "scale", "degrees_of_freedom")
    problem = vm.load("gmm")(x, components=COMPONENTS, **dict(zip(names, prior, strict=True)))
    return x, q, prior, problem.conjugate


def responsibilities(x, q):
    """(9) and (10), in the data's units; the constant -D/2 log 2 pi cancels."""
    alpha, D = q[0], x.shape[1]
    log_rho = np.tile(psi(alpha) - psi(alpha.sum()), (len(x), 1))
    for k, (beta, m, W, nu) in enumerate(zip(*q[1:], strict=True)):
        log_det = psi((nu + 1 - np.arange(1, D + 1)) / 2).sum() + D * np.log(2) + np.linalg.slogdet(W)[1]
        quadratic = D / beta + nu * np.einsum("ni,ij,nj->n", x - m, W, x - m)  # (8)
        log_rho[:, k] += (log_det - quadratic) / 2
    return np.exp(log_rho - logsumexp(log_rho, axis=1, keepdims=True))


def test_the_seven_terms_of_the_textbook_equal_the_elbo_at_a_random_q(case):
    x, q, prior, model = case
    with jax.enable_x64(True):
        ours = float(engine.bound_and_map(model, natural(q, model))[0])
    assert_allclose(ours, textbook_elbo(x, responsibilities(x, q), q, prior), rtol=1e-8)


def test_other_responsibilities_only_lower_the_textbook_elbo(case):
    x, q, prior, _ = case
    best = responsibilities(x, q)
    other = 0.9 * best + 0.1 * np.random.default_rng(1).dirichlet(np.ones(COMPONENTS), len(x))
    assert textbook_elbo(x, other, q, prior) < textbook_elbo(x, best, q, prior)


def test_adding_statistics_to_natural_parameters_is_the_familiar_update(case):
    x, q, (alpha0, beta0, m0, W0, nu0), model = case
    r = responsibilities(x, q)
    N = r.sum(0)
    with jax.enable_x64(True):
        image = engine.bound_and_map(model, natural(q, model))[1]
        new = {name: np.asarray(value) for name, value in model.parameters(image).items()}
    xbar = (r.T @ x) / N[:, None]
    for k in range(COMPONENTS):
        beta, gap = beta0[k] + N[k], xbar[k] - m0[k]
        products = (r[:, k, None] * (x - xbar[k])).T @ (x - xbar[k])
        inverse = np.linalg.inv(W0[k]) + products + beta0[k] * N[k] / beta * np.outer(gap, gap)
        assert_allclose(new["concentration"][k], alpha0[k] + N[k])
        assert_allclose(new["mean_precision"][k], beta)
        assert_allclose(new["mean"][k], (beta0[k] * m0[k] + N[k] * xbar[k]) / beta)
        assert_allclose(new["scale"][k], np.linalg.inv(inverse), rtol=1e-6)
        assert_allclose(new["degrees_of_freedom"][k], nu0[k] + N[k])


def test_expected_logs_are_the_derivatives_of_the_log_normalisers(case):
    _, q, _, model = case
    with jax.enable_x64(True):
        eta = natural(q, model)
        m = jax.grad(model.log_normaliser)(eta)
        familiar = expfam.normal_wishart_parameters(eta["components"])
        by_hand = expfam.wishart_expected_log_det(familiar.scale_inverse, familiar.degrees_of_freedom)
        assert_allclose(m["weights"], psi(q[0]) - psi(q[0].sum()))  # (5)
        assert_allclose(2 * m["components"].log_det, by_hand)  # (7)


@pytest.mark.slow
def test_the_elbo_s_gradient_is_the_covariance_times_the_step(case):
    _, q, _, model = case
    with jax.enable_x64(True):
        eta = natural(q, model)
        gradient = jax.grad(lambda e: engine.bound_and_map(model, e)[0])(eta)
        step = jax.tree.map(jnp.subtract, engine.bound_and_map(model, eta)[1], eta)
        product = jax.jvp(jax.grad(model.log_normaliser), (eta,), (step,))[1]  # (15)
        jax.tree.map(lambda a, b: assert_allclose(a, b, rtol=1e-7, atol=1e-8), gradient, product)


@pytest.mark.slow
def test_one_component_s_elbo_is_the_evidence():
    problem = vm.load("gmm")(components=1)
    x = problem.args[0]
    (N, D), products = x.shape, (x - x.mean(0)).T @ (x - x.mean(0))
    W0_inverse = 10.0 * np.eye(D)  # the lecture's prior: nu_0 = D, beta_0 = 1, m_0 the data's mean
    before, after = np.linalg.slogdet(W0_inverse)[1], np.linalg.slogdet(W0_inverse + products)[1]
    evidence = multigammaln((D + N) / 2, D) - multigammaln(D / 2, D) - N * D / 2 * np.log(np.pi)
    evidence += D / 2 * before - (D + N) / 2 * after - D / 2 * np.log(1 + N)
    assert_allclose(vm.fit(problem, "cavi", seed=0, chains=1, draws=2).attrs["elbo"], evidence, rtol=1e-12)
    assert f"{evidence:.3f}".replace("-", "−") in DERIVATION


def test_the_best_factorised_gaussian_has_variance_one_minus_rho_squared():
    rho = 0.8
    precision = np.linalg.inv([[1.0, rho], [rho, 1.0]])
    best = np.full(2, 1 - rho**2)  # (19)

    def kl(variance):
        return 0.5 * (np.diag(precision) @ variance - np.log(variance).sum())  # without its constant

    assert_allclose(1 / np.diag(precision), best)
    assert all(kl(best) < kl(best * factor) for factor in ([1.1, 1.0], [1.0, 0.9], [1.05, 1.05]))


def test_the_jacobian_counts_means_and_precisions(case):
    _, _, _, model = case
    spread = np.asarray(model.spread)
    row, column = np.tril_indices(DIMENSION)
    one = np.log(spread[row] * spread[column]).sum() - np.log(spread).sum()  # both diagonal
    with jax.enable_x64(True):
        assert_allclose(model.log_jacobian(), COMPONENTS * one)  # (21)


@pytest.mark.slow
def test_a_component_without_rows_goes_back_to_the_prior():
    problem = vm.load("gmm")(components=6)
    variational = vm.fit(problem, "cavi", seed=0, chains=1, draws=2)["variational"]
    rows = variational["q_mean_precision"].values - 1.0
    assert_allclose(rows[3:], 0.051, atol=5e-4)
    assert_allclose(variational["mean_weights"].values, (1.0 + rows) / (6.0 + 500.0))  # (22)
