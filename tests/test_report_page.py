"""The report in a browser: silent, offline, linked, and usable by everybody."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from browser import Visit, find_browser, launched
from playwright.sync_api import Browser
from report_stories import told


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with launched() as running:
        yield running


@pytest.fixture
def visit(browser: Browser) -> Iterator[Callable[..., Visit]]:
    visits: list[Visit] = []

    def go(folder: Path, **how) -> Visit:
        visits.append(Visit(browser, folder / "report.html", **how))
        return visits[-1]

    yield go
    for v in visits:
        v.close()


@pytest.mark.parametrize("name", ["disagreeing", "hostile_names", "empty_components", "one_column", "two_files"])
def test_on_a_phone_every_figure_is_drawn_in_silence_and_nothing_scrolls_sideways(visit, name):
    v = visit(told(name), width=390)
    v.draw_all()
    assert v.said == []
    assert len(v.asked) == 1  # the file itself
    assert v.page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_axe_finds_nothing_in_either_theme(visit):
    v = visit(told("overconfident"))
    v.draw_all()
    for theme in ("light", "dark"):
        v.page.emulate_media(color_scheme=theme)
        v.page.wait_for_timeout(200)
        found = Axe().run(v.page).response["violations"]
        assert [(theme, f["id"], f["nodes"][0]["html"][:120]) for f in found] == []
    assert v.said == []


def test_a_chosen_parameter_is_followed_by_figures_numbers_and_sentences(visit):
    v = visit(told("overconfident"))
    v.draw("forest")
    v.page.select_option("#param", label="means[1, 0]")
    assert v.page.inner_text(".chosen >> nth=0") == "means[1, 0]"
    assert "means[1, 0]" in v.page.inner_text("#coverage-what")
    assert "means[1, 0]" in v.page.inner_text("#pair-title")
    assert v.page.inner_text("#live") == "means[1, 0] chosen in every figure"
    assert v.page.locator("#table tr.on").count() == 2
    shapes = v.page.evaluate("document.getElementById('forest').layout.shapes.length")
    assert shapes == 4  # band, reference, and the two marks of the chosen row
    v.page.locator(".thumb >> nth=0").click()
    assert v.page.locator(".thumb[aria-pressed=true]").count() == 1
    assert v.said == []


def test_a_method_can_be_hidden_and_another_compared(visit):
    v = visit(told("overconfident"))
    v.draw("forest", "corr1", "data1")
    v.page.click(".toggle[data-method='cavi']")
    assert v.page.get_attribute(".toggle[data-method='cavi']", "aria-pressed") == "false"
    seen = v.page.evaluate("document.getElementById('forest').data.map(t => [t.meta.method, t.visible])")
    assert seen == [["cavi", False], ["svi:AutoNormal", True]]
    assert v.page.inner_text("#count") == "12 of 18 rows"
    v.page.select_option("#against-corr", "svi:AutoNormal")
    assert v.page.input_value("#against-data") == "svi:AutoNormal"
    assert "SVI AutoNormal" in v.page.inner_text("#corr-title")
    colour = "document.getElementById('data1').data.at(-1).line.color"
    assert v.page.evaluate(colour) == "#009073"
    assert "under SVI AutoNormal than under NUTS" in v.page.inner_text("#data-what") or "as much" in v.page.inner_text(
        "#data-what"
    )
    assert v.said == []


def test_the_table_sorts_searches_and_says_so(visit):
    v = visit(told("overconfident"))
    v.page.fill("#search", "means")
    assert v.page.inner_text("#count") == "12 of 12 rows"
    head = v.page.locator("#table thead th >> nth=2")
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    ratios = v.page.evaluate(
        "[...document.querySelectorAll('#table tbody tr:not([hidden])')].map(r => +r.cells[2].dataset.v)"
    )
    assert ratios == sorted(ratios)
    assert v.page.inner_text("#live") == "Table sorted by sd ratio, ascending"
    v.page.locator("#more").wait_for(state="hidden")


def test_files_and_pictures_can_be_saved(visit):
    folder = told("overconfident")
    v = visit(folder)
    for name in ("comparison.csv", "summary.json"):
        with v.page.expect_download() as download:
            v.page.click(f"[data-download='{name}']")
        assert Path(download.value.path()).read_text(encoding="utf-8") == (folder / name).read_text(encoding="utf-8")
    with v.page.expect_download() as download:
        v.page.click("[data-save='forest']")
    assert Path(download.value.path()).read_text().startswith("<svg")


def test_the_first_tab_reaches_a_skip_link_and_focus_is_seen(visit):
    v = visit(told("overconfident"))
    v.page.keyboard.press("Tab")
    assert v.page.evaluate("document.activeElement.textContent") == "Skip to the verdict"
    v.page.keyboard.press("Enter")
    assert v.page.evaluate("document.activeElement.id") == "verdict"
    v.page.focus("#param")
    v.page.keyboard.press("ArrowDown")
    assert v.page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"


def test_the_theme_button_turns_page_and_figures(visit):
    v = visit(told("overconfident"))
    v.draw("forest")
    v.page.click(".theme")
    assert v.page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 23, 26)"
    assert v.page.evaluate("document.getElementById('forest').data[0].marker.color") == "#E66A0A"
    assert v.said == []


def test_the_verdict_and_the_tables_stand_without_javascript(browser):
    context = browser.new_context(java_script_enabled=False, offline=True)
    page = context.new_page()
    page.goto((told("overconfident") / "report.html").resolve().as_uri())
    assert page.locator(".verdicts .v").count() == 3
    assert page.locator(".v svg.dens polyline").count() == 2
    assert page.locator("#table tbody tr").count() == 36
    context.close()


def test_the_page_prints_with_its_figures_in_light(visit):
    v = visit(told("overconfident"), theme="dark")
    v.page.evaluate("dispatchEvent(new Event('beforeprint'))")
    v.wait_until_drawn()
    v.page.emulate_media(media="print")
    assert v.page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert v.page.evaluate("document.getElementById('forest').data[0].marker.color") == "#D55E00"
    assert v.page.evaluate("document.getElementById('forest').clientWidth") < 800
    assert v.said == []


def test_a_missing_browser_is_a_failure_that_says_what_to_install(monkeypatch):
    monkeypatch.setenv("VI_VS_MCMC_CHROMIUM", "/nowhere/chromium")
    with pytest.raises(pytest.fail.Exception, match="/nowhere/chromium"):
        find_browser()
    monkeypatch.delenv("VI_VS_MCMC_CHROMIUM")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(pytest.fail.Exception, match="apt-get install chromium"):
        find_browser()
