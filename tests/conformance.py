"""What must hold of every closed-form structure, whatever the model: one check a function, on numbers that `subject` measures.

Monte Carlo means are held to 5 standard errors: 100 numbers or so are compared for a model, so that a right one fails once in
17 000 keys.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
from numpy.testing import assert_allclose
from subject import DENSITIES, Subject

from vi_vs_mcmc.climber import ROUNDING
from vi_vs_mcmc.conjugate import Natural

ERRORS = 5.0


def _pairs(a: Natural, b: Natural) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    return zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)


def near(draws: np.ndarray, truth: np.ndarray, where: str) -> None:
    """The means of draws (draws, ...) are `truth` to ERRORS Monte Carlo standard errors and rounding."""
    error = draws.std(0, ddof=1) / np.sqrt(len(draws))
    off = np.abs(draws.mean(0) - truth)
    assert (off <= ERRORS * error + 1e-11 * (1 + np.abs(truth))).all(), (where, off / error)


def same(found: Any, wanted: Any, **tolerance: Any) -> None:
    """Two trees of one shape, leaf by leaf."""
    assert jax.tree.structure(found) == jax.tree.structure(wanted)
    for a, b in _pairs(found, wanted):
        assert_allclose(a, b, **tolerance)


def eta_m_and_t_share_one_shape_and_each_factor_is_in_one_block(subject: Subject) -> None:
    start = subject.start
    shapes = lambda tree, lead=0: jax.tree.map(lambda leaf: np.shape(leaf)[lead:], tree)
    assert shapes(start["eta"]) == shapes(start["m"]) == shapes(start["prior"]) == shapes(subject.draws[1], 1)
    assert sorted(factor for block in subject.model.blocks for factor in block) == sorted(start["eta"])


def a_draw_has_every_site_of_the_program(subject: Subject) -> None:
    theta, sites = subject.draws[0], subject.problem.all_sites
    assert {name: value.shape[1:] for name, value in theta.items()} == {n: s.shape for n, s in sites.items()}
    few = {name: value[:DENSITIES] for name, value in theta.items()}
    same(few, subject.densities["sites"], rtol=1e-9, atol=1e-12)


def a_block_alone_gives_the_sites_and_statistics_of_its_factors(subject: Subject) -> None:
    found: list[str] = []
    for block, (sites, t) in zip(subject.model.blocks, subject.alone, strict=True):
        found += sites
        assert sorted(t) == sorted(block)
        for draws, m in _pairs(t, {factor: subject.start["m"][factor] for factor in block}):
            near(draws, m, str(block))
    assert len(found) == len(set(found))
    assert set(subject.problem.latent) <= set(found) <= set(subject.problem.all_sites)


def the_gradient_of_a_is_the_mean_of_t(subject: Subject) -> None:
    for draws, m in _pairs(subject.draws[1], subject.start["m"]):
        near(draws, m, "t")


def moments_are_those_of_draws(subject: Subject) -> None:
    for site, (mean, variance) in subject.start["moments"].items():
        draws = subject.draws[0][site]
        near(draws, mean, site)
        near((draws - mean) ** 2, variance, site)


def log_p_is_the_programs_joint_density(subject: Subject) -> None:
    found, wanted = subject.densities["log_p"]
    assert_allclose(found, wanted, rtol=0, atol=1e-9)


def log_q_is_the_density_of_q(subject: Subject) -> None:
    found, wanted = subject.densities["log_q"]
    assert_allclose(found, wanted, rtol=0, atol=1e-9)


def local_is_row_by_row_and_the_sum_over_every_outcome(subject: Subject) -> None:
    local = subject.local
    assert_allclose(local["a_few"], local["rows"][1:4], rtol=1e-12)
    if local["outcomes"] is not None:
        assert_allclose(local["outcomes"], local["rows"], rtol=1e-12)


def the_gradient_of_l_is_the_mean_of_drawn_statistics(subject: Subject) -> None:
    near(subject.local["draws"], subject.local["slope"], "statistics")


def complete_and_linked_are_affine_in_the_m_of_each_block(subject: Subject) -> None:
    for line in subject.lines:
        for start, middle, end in zip(*line, strict=True):
            size = np.abs([start, middle, end]).max()
            assert_allclose(start - 2 * middle + end, 0, atol=1e-13 * (1 + size))


def the_gradient_of_the_elbo_is_v_times_the_step(subject: Subject) -> None:
    curved = subject.step["curved"]
    size = max(np.abs(leaf).max() for leaf in jax.tree.leaves(curved))
    same(subject.step["gradient"], curved, rtol=1e-9, atol=1e-10 * size)
    assert size > 1e-3  # at a fixed point there would be nothing to see


def labels_in_another_order_are_the_same_fit(subject: Subject) -> None:
    elbo, image = subject.step["elbo"], subject.step["image"]
    assert_allclose(elbo[1], elbo[0], rtol=1e-12)
    same(jax.tree.map(lambda leaf: leaf[1], image), jax.tree.map(lambda leaf: leaf[0], image), rtol=1e-10, atol=1e-10)


def the_expected_parameters_have_a_likelihood(subject: Subject) -> None:
    assert np.isfinite(subject.start["point"]).all()


def the_mode_is_where_the_density_is_highest(subject: Subject) -> None:
    mode, eta = subject.mode, subject.start["eta"]
    assert set(mode["sites"]) == set(subject.problem.all_sites)
    assert mode["value"] > mode["elsewhere"].max()
    assert_allclose(mode["gradient"], 0, atol=1e-11 * max(np.abs(leaf).max() for leaf in jax.tree.leaves(eta)))


def coordinates_are_a_bijection_with_the_determinant_they_say(subject: Subject) -> None:
    u, back, log_det, wanted = subject.coordinates
    assert_allclose(back, u, rtol=1e-9, atol=1e-10)
    assert_allclose(log_det, wanted, rtol=1e-9, atol=1e-10)


def the_elbo_never_falls_on_the_way_to_a_fixed_point(subject: Subject) -> None:
    ascent = subject.ascent
    assert ascent.converged.all()
    steps = np.diff(ascent.trace, axis=1)
    # a prediction is kept where the ELBO is no lower but for what ascent takes for rounding; a wrong update loses far more
    assert np.nanmin(steps) >= -ROUNDING * (1 + np.nanmax(np.abs(ascent.trace)))
    assert np.nanmax(steps) > 1e-3


def linear_response_is_the_slope_of_the_fixed_point_under_a_tilt(subject: Subject) -> None:
    found = subject.tilted
    assert found["converged"]
    assert found["positive"]
    assert_allclose(found["response"], found["slope"], rtol=1e-5, atol=1e-6 * np.abs(found["slope"]).max())


CHECKS = (
    eta_m_and_t_share_one_shape_and_each_factor_is_in_one_block,
    a_draw_has_every_site_of_the_program,
    a_block_alone_gives_the_sites_and_statistics_of_its_factors,
    the_gradient_of_a_is_the_mean_of_t,
    moments_are_those_of_draws,
    log_p_is_the_programs_joint_density,
    log_q_is_the_density_of_q,
    local_is_row_by_row_and_the_sum_over_every_outcome,
    the_gradient_of_l_is_the_mean_of_drawn_statistics,
    complete_and_linked_are_affine_in_the_m_of_each_block,
    the_gradient_of_the_elbo_is_v_times_the_step,
    labels_in_another_order_are_the_same_fit,
    the_expected_parameters_have_a_likelihood,
    the_mode_is_where_the_density_is_highest,
    coordinates_are_a_bijection_with_the_determinant_they_say,
    the_elbo_never_falls_on_the_way_to_a_fixed_point,
    linear_response_is_the_slope_of_the_fixed_point_under_a_tilt,
)
