"""Run the gallery's commands and keep their small files: comparison.csv, summary.json and a picture of the page's top.

uv run python reports/gallery/make.py            # all
uv run python reports/gallery/make.py faithful   # one
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from playwright.sync_api import sync_playwright

HERE = Path(__file__).parent
DATA = Path("models/data")
CHROMIUM = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def runs() -> dict[str, list[str]]:
    """Arguments of each run, from the repository's root."""
    iris = np.loadtxt(DATA / "iris.csv", delimiter=",", skiprows=1)
    scale = json.dumps(np.round(np.linalg.inv(np.cov(iris.T)) / 2, 6).tolist())
    prior = ["concentration=2", "mean_precision=0.1", "degrees_of_freedom=6", f"scale={scale}"]
    return {
        "lecture": ["--seed", "1"],
        "lecture-six-components": ["--set", "components=6", "--seed", "1"],
        "faithful": ["--data", str(DATA / "faithful.csv"), "--set", "components=2", "--seed", "1"],
        "iris": [
            "--data",
            str(DATA / "iris.csv"),
            *(word for setting in prior for word in ("--set", setting)),
            "--restarts",
            "32",
            "--seed",
            "1",
        ],
    }


def main() -> None:
    """Make every run anew."""
    program = Path(sys.executable).parent / "vi-vs-mcmc"
    with tempfile.TemporaryDirectory() as temporary, sync_playwright() as browser:
        chromium = browser.chromium.launch(executable_path=shutil.which("chromium"), args=CHROMIUM)
        page = chromium.new_page(viewport={"width": 1200, "height": 900})
        for name, arguments in runs().items():
            if len(sys.argv) > 1 and name not in sys.argv[1:]:
                continue
            folder = Path(temporary) / name
            subprocess.run([program, "compare", "gmm", *arguments, "--out", str(folder)], check=True)
            for kept in ("comparison.csv", "summary.json"):
                text = (folder / kept).read_text("utf-8").replace(str(folder), f"reports/{name}")
                (HERE / f"{name}-{kept}").write_text(text, "utf-8")
            page.goto((folder / "report.html").as_uri())
            page.screenshot(path=HERE / f"{name}.png")
        chromium.close()


if __name__ == "__main__":
    main()
