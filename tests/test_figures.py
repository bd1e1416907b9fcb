"""Figures: numbers in, a plotly Figure out, in the page's palette, within its policy."""

from __future__ import annotations

import json
from functools import cache

import numpy as np
import plotly.graph_objects as go
import pytest
from numpy.testing import assert_allclose

from vi_vs_mcmc.figures.canvas import clipped, ellipse, safe
from vi_vs_mcmc.figures.climb import Trace, climb
from vi_vs_mcmc.figures.correlation import correlation
from vi_vs_mcmc.figures.coverage import coverage, shortfall
from vi_vs_mcmc.figures.forest import Bars, Scale, forest
from vi_vs_mcmc.figures.marginal import marginal
from vi_vs_mcmc.figures.pair import Moments, pair
from vi_vs_mcmc.figures.palette import LIGHT, SYMBOL_PATHS, SYMBOL_SIZES, TOKENS, styles
from vi_vs_mcmc.figures.ranks import ranks
from vi_vs_mcmc.figures.rows import plane, strip
from vi_vs_mcmc.figures.sd_sd import sd_sd
from vi_vs_mcmc.figures.weights import weights

LOOKS = styles("nuts", ["cavi", "<b>x"])
NAMES = ["weights[0]", "<script>alert(1)</script>", "%{x} long" * 9]
RATIO = Scale(1.0, (0.9, 1.1), "sd ratio", "too narrow", "too wide", "sd is {} of NUTS")
RNG = np.random.default_rng(0)
HUGE = np.array([1e-320, 1.7e308, np.inf])
LEVELS = np.array([0.1, 0.5, 0.9])


def bars(*values: float) -> Bars:
    v = np.array(values)
    return Bars(v, v - 0.02, v + 0.02)


@cache
def figures() -> dict[str, go.Figure]:
    """One of each."""
    two = {"cavi": bars(0.8, 1.0, 1.2), "<b>x": bars(1.0, np.nan, 0.95)}
    held = {"cavi": LEVELS[:, None] * [0.8, 0.9, 1.0]}
    moments = {"nuts": Moments(np.zeros(2), np.ones(2), 0.5), "cavi": Moments(np.zeros(2), np.ones(2), 0.0)}
    normal = np.exp(-0.5 * np.linspace(-3, 3, 20) ** 2)
    x, doubt, said = RNG.normal(size=(30, 2)), RNG.uniform(0, 0.5, 30), ["row"] * 30
    factors = np.tile(np.eye(2), (4, 3, 1, 1))
    quantiles = np.array([[0.2, 0.3], [0.3, 0.4], [0.4, 0.5]])
    return {
        "forest": forest(NAMES, two, LOOKS, RATIO, [0, 1, 2]),
        "coverage": coverage(LEVELS, held, 0, LOOKS),
        "shortfall": shortfall(LEVELS, held, 0, LOOKS),
        "sd_sd": sd_sd(NAMES, np.array([0.1, 1, 9]), {"cavi": np.array([0.1, 0.8, 8])}, LOOKS, 0.1, "NUTS", [0, 1, 2]),
        "marginal": marginal(np.linspace(-3, 3, 20), {"nuts": normal, "cavi": 2 * normal}, "nuts", LOOKS),
        "pair": pair(NAMES[1], x, moments, LOOKS),
        "correlation": correlation(np.eye(3), NAMES, 0.6),
        "plane": plane(x, ["a", "b"], doubt, np.zeros((4, 3, 2)), factors, LOOKS["cavi"], said, [0, 2]),
        "strip": strip(
            x[:, 0], "a", None, np.full((4, 3), 0.3), np.zeros((4, 3)), np.ones((4, 3)), LOOKS["cavi"], said, [0, 1]
        ),
        "weights": weights({"nuts": quantiles}, LOOKS, [0.3, 0.4]),
        "climb": climb([Trace(np.arange(1.0, 9), -np.exp(-np.arange(1.0, 9)))], LOOKS["cavi"], "sweep", ceiling=0.1),
        "ranks": ranks(np.full((4, 20), 50)),
    }


@pytest.mark.parametrize("name", figures())
def test_every_figure_is_plain_json_without_title_or_legend(name):
    spec = json.loads(figures()[name].to_json())
    assert spec["layout"]["showlegend"] is False
    assert "title" not in spec["layout"]
    assert {t["type"] for t in spec["data"]} <= {"scatter", "bar", "heatmap"}  # the gl traces need eval


@pytest.mark.parametrize("name", figures())
def test_every_colour_of_a_figure_is_one_the_page_can_turn_dark(name):
    def colours(value):
        if isinstance(value, str) and value.startswith("#"):
            yield value[:7]
        elif isinstance(value, dict):
            yield from (c for v in value.values() for c in colours(v))
        elif isinstance(value, list):
            yield from (c for v in value for c in colours(v))

    spec = json.loads(figures()[name].to_json())
    spec["layout"].pop("template", None)
    assert set(colours(spec)) <= set(LIGHT.values())


@pytest.mark.parametrize("name", figures())
def test_a_name_with_markup_is_text_in_every_figure(name):
    assert "<script" not in figures()[name].to_json().replace("\\u003c", "<")


def test_the_ellipse_holds_ninety_percent_of_a_normal():
    factor = np.array([[2.0, 0.0], [1.0, 0.5]])
    draws = RNG.standard_normal((200_000, 2))
    x, y = ellipse([0, 0], factor)
    radius = np.linalg.norm(np.linalg.solve(factor, np.stack([x, y])), axis=0)
    assert_allclose(radius, radius[0])
    assert_allclose((np.linalg.norm(draws, axis=1) < radius[0]).mean(), 0.9, atol=0.003)  # 4 standard errors: .0027


def test_known_methods_keep_their_look_and_unknown_ones_take_the_next_free_one():
    looks = styles("nuts", ["svi:AutoMultivariateNormal", "cavi", "a", "laplace"])
    assert (looks["nuts"].token, looks["cavi"].token) == ("ink", "vermillion")
    assert len({(s.token, s.symbol) for s in looks.values()}) == 5
    assert [s.css for s in looks.values()] == ["m0", "m1", "m2", "m3", "m4"]


def test_more_methods_than_looks_still_get_one_each():
    looks = styles("gibbs", [f"method{i}" for i in range(12)])
    assert len(looks) == 13
    assert looks["gibbs"].symbol == "circle"


def test_methods_have_names_a_reader_knows():
    looks = styles("laplace", ["svi:AutoMultivariateNormal", "svi:MyGuide", "advi_run_3"])
    assert [(s.label, s.note) for s in looks.values()] == [
        ("Laplace", "the reference"),
        ("SVI AutoMultivariateNormal", "one full normal, stochastic"),
        ("SVI MyGuide", "stochastic"),
        ("advi_run_3", ""),
    ]


def test_every_symbol_can_be_drawn_in_figures_and_in_static_svg():
    assert SYMBOL_PATHS.keys() == SYMBOL_SIZES.keys()
    assert {s.symbol for s in styles("nuts", list("abcdefgh")).values()} <= SYMBOL_PATHS.keys()


@pytest.mark.parametrize("theme", [0, 1])
def test_marks_and_text_stand_out_from_the_paper(theme):
    def luminance(colour):
        c = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        c = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in c]
        return 0.2126 * c[0] + 0.7152 * c[1] + 0.0722 * c[2]

    def contrast(a, b):
        high, low = sorted((luminance(TOKENS[a][theme]), luminance(TOKENS[b][theme])), reverse=True)
        return (high + 0.05) / (low + 0.05)

    assert min(contrast(text, "paper") for text in ("ink", "ink2")) >= 7  # WCAG AAA
    assert min(contrast(mark, "paper") for mark in ("vermillion", "blue", "green", "purple", "olive", "slate")) >= 3


def test_a_long_name_keeps_its_ends_and_a_template_in_a_name_is_inert():
    assert clipped("theta[a very long coordinate indeed, 12]") == "theta[a ve…indeed, 12]"
    assert "%{" not in safe("%{x}")


def test_a_forest_names_the_furthest_value_and_marks_it_if_its_interval_is_outside():
    fig = figures()["forest"]
    values = {a.y: a for a in fig.layout.annotations if a.name == "value"}
    assert [values[i].text for i in range(3)] == ["0.80", "1.00", "1.20"]
    assert [values[i].font.weight for i in range(3)] == [600, 400, 600]


@pytest.mark.parametrize(("name", "occupied"), [("plane", [0, 2]), ("strip", [0, 1])])
def test_empty_components_are_neither_drawn_nor_numbered(name, occupied):
    fig = figures()[name]
    assert [t.meta["component"] for t in fig.data if t.meta["role"] == "component"] == occupied
    assert [a.text for a in fig.layout.annotations if a.name == "n"] == [str(k) for k in occupied]


def test_sds_of_any_size_have_an_axis():
    figure = sd_sd(NAMES, HUGE, {"cavi": HUGE[::-1]}, LOOKS, 0.1, "NUTS", [0, 1, 2])
    assert np.isfinite(figure.layout.xaxis.range).all()
    assert 2 <= len(figure.layout.xaxis.tickvals) <= 7
