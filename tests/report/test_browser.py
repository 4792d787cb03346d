"""The page in a real Chromium: sorting, filtering, slider, zoom, keyboard, phone, many runs."""

import json
import shutil

import numpy as np
import pytest

from dip.report import leaderboard_page, thumbnails
from dip.report.page import write
from tests.fake_runs import change, make, photograph, save

selenium = pytest.importorskip("selenium", reason="needs selenium: pip install -e '.[test]'")
from selenium import webdriver  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
FLAGS = (
    "--headless=new --no-sandbox --disable-gpu --no-first-run --disable-background-networking"
    " --disable-component-update --disable-sync --disable-dev-shm-usage"
)
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="needs chromium and chromedriver in PATH"),
]


class Browser:
    """A page in Chromium, with the few actions that the tests need."""

    def __init__(self, driver):
        self.driver = driver
        self.run = driver.execute_script

    def open(self, page, width=1280, height=900, scale=1, mobile=False, dark=False):
        size = {"width": width, "height": height, "deviceScaleFactor": scale, "mobile": mobile}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
        self.driver.get(page.as_uri())

    def find(self, selector):
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def click(self, selector):
        element = self.find(selector)
        self.run("arguments[0].scrollIntoView({ block: 'center' })", element)
        element.click()

    def type(self, selector, *keys):
        self.find(selector).send_keys(*keys)

    def filter(self, words):
        self.find("#filter").clear()
        self.type("#filter", words)

    def count(self, selector):
        script = "return [...document.querySelectorAll(arguments[0])].filter((node) => !node.hidden).length"
        return self.run(script, selector)

    def column(self, title):
        """The texts of the visible cells below a header of the table of runs."""
        return self.run(
            """const heads = [...document.querySelectorAll("#runs th")].map((head) => head.textContent.trim());
            return [...document.querySelectorAll("#runs tbody tr")].filter((row) => !row.hidden)
                .map((row) => row.cells[heads.indexOf(arguments[0])].textContent.trim());""",
            title,
        )

    def header(self, title):
        heads = [head.text for head in self.driver.find_elements(By.CSS_SELECTOR, "#runs th")]
        return f"#runs th:nth-child({heads.index(title) + 1}) button"


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in (*FLAGS.split(), f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NO_PROXY", "localhost,127.0.0.1")
        # With the driver's path given, Selenium Manager has nothing to download.
        driver = webdriver.Chrome(options, webdriver.ChromeService(DRIVER))
        yield Browser(driver)
        driver.quit()


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sweep")
    for target in ("clean", "noisy"):
        for seed in (0, 1, 10):
            make(folder / f"{target}-{seed}", target, seed=seed, skips=[3, 4] if seed else [])
    make(folder / "failed", status="failed", skips=[1], image="<b>bold</b>.png")
    return write(folder)


@pytest.fixture
def opened(browser, page):
    browser.open(page)
    yield browser
    assert browser.driver.get_log("browser") == []


def test_headers_sort_with_missing_values_last(opened):
    opened.click(opened.header("restored PSNR, dB"))
    scores = opened.column("restored PSNR, dB")
    assert scores[-1] == ""  # the failed run
    assert scores[:-1] == sorted(scores[:-1], key=float, reverse=True)
    opened.type(opened.header("restored PSNR, dB"), Keys.ENTER)  # by keyboard, in the other direction
    scores = opened.column("restored PSNR, dB")
    assert scores[-1] == ""
    assert scores[:-1] == sorted(scores[:-1], key=float)
    assert opened.count("#runs [aria-sort]") == 1
    opened.click(opened.header("seed"))
    assert opened.column("seed") == ["0", "0", "0", "1", "1", "10", "10"]
    opened.click(opened.header("target"))
    assert opened.column("target") == sorted(opened.column("target"))


def test_the_filter_selects_rows_and_images(opened):
    assert len(opened.column("#")) == 7
    opened.filter("seed=1 target=noisy")
    assert opened.column("seed") == ["1"]  # not 10
    assert opened.count(".card") == 1
    assert opened.find("#count").text == "1 of 7 runs"
    assert "seed=1" in opened.find("#runcommand").text
    opened.filter("FAILED")
    assert opened.column("status") == ["failed"]
    opened.filter("nothing has this")
    assert opened.column("status") == []
    assert not opened.find("#viewer").is_displayed()


def test_the_curves_are_shown(opened):
    sizes = "return [...document.querySelectorAll('.plot img')].map((image) => image.naturalWidth > 300)"
    assert opened.run(sizes) == [True, True]


CUT = "return parseFloat(document.getElementById('frame').style.getPropertyValue('--cut'))"


def test_the_slider_uncovers_the_target_by_key_and_by_drag(opened):
    clip = "return getComputedStyle(document.getElementById('over')).clipPath"
    assert opened.run(CUT) == 50
    opened.type("#cut", Keys.HOME)
    assert opened.run(CUT) == 0
    assert opened.run(clip) == "inset(0px 100% 0px 0px)"
    opened.type("#cut", Keys.END, Keys.LEFT * 2)
    assert opened.run(CUT) == 99
    opened.click("#frame")  # in its middle
    assert opened.run(CUT) == pytest.approx(50, abs=0.5)


def test_a_double_click_magnifies_and_dragging_moves_both_images(opened):
    left = "const box = document.getElementById(arguments[0]).getBoundingClientRect(); return [box.left, box.width]"
    assert opened.run("return ['left', 'right'].map((id) => document.getElementById(id).naturalWidth)") == [64, 64]
    frame = opened.find("#frame")
    opened.run("arguments[0].scrollIntoView({ block: 'center' })", frame)
    before, width = opened.run(left, "frame")
    mouse = webdriver.ActionChains(opened.driver).double_click(frame)
    mouse.perform()
    assert opened.run(left, "left") == opened.run(left, "right")
    assert opened.run(left, "left") == pytest.approx([before - 1.5 * width, 4 * width], abs=2)
    mouse.reset_actions()
    mouse.drag_and_drop_by_offset(frame, 60, 0).perform()
    # The point of the image below the pointer stays there when the image is magnified.
    assert opened.run(left, "right")[0] == pytest.approx(before - 3 * (width / 2 + 60), abs=2)


def test_a_card_or_a_number_chooses_the_run(opened):
    for selector, number in ((".card[data-run='2']", 3), ("[data-run='1'] .pick", 2), ("#next", 3)):
        opened.click(selector)
        assert opened.find("#runlabel").text.startswith(f"#{number} ")
    thumbnails = (
        "return [...document.querySelectorAll('.card img')].filter((image) => image.naturalWidth === 64).length"
    )
    assert opened.run(thumbnails) >= 9


@pytest.mark.parametrize("dark", [False, True])
def test_a_phone_shows_it_without_scrolling_sideways(opened, page, dark):
    opened.open(page, 360, 740, scale=2, mobile=True, dark=dark)
    assert opened.run("return [document.documentElement.scrollWidth, window.innerWidth]") == [360, 360]
    outside = opened.run(
        """return [...document.querySelectorAll("body *")].filter((node) => !node.closest(".scroll, .plot, svg, #frame"))
        .filter((node) => node.getBoundingClientRect().right > 360.5).map((node) => node.outerHTML.slice(0, 80))"""
    )
    assert outside == []
    background = opened.run("return getComputedStyle(document.body).backgroundColor")
    assert (sum(int(part) for part in background[4:-1].split(",")) < 200) == dark


def test_a_hostile_name_is_shown_as_text(opened):
    assert opened.count("b") == opened.count("header b, #unfinished li > b, .card > b")
    assert "<b>bold</b>.png" in opened.find("#unfinished").text


def test_a_page_of_many_runs_stays_small_and_works(browser, tmp_path, monkeypatch):
    """A fifth of 200 runs, with a fifth of the bytes: images as they are would take 8 MB."""
    monkeypatch.setattr(thumbnails, "BUDGET", thumbnails.BUDGET // 5)
    first = make(tmp_path / "r0", size=256, status="finished")
    result = json.loads((first / "result.json").read_text())
    for number in range(1, 40):  # copies with a different seed and restored image, which are faster to make
        folder = tmp_path / f"r{number}"
        shutil.copytree(first, folder, ignore=shutil.ignore_patterns("step-*"))
        result["config"] |= {"seed": number % 20, "lr": 0.001 * (1 + number // 20)}
        (folder / "result.json").write_text(json.dumps(result))
        noise = np.random.default_rng(number).normal(0, 0.05, (256, 256, 3))
        save(folder / "images" / "restored.png", photograph(256) + noise)
    page = write(tmp_path)
    assert page.stat().st_size < 3e6
    browser.open(page)
    assert len(browser.column("seed")) == 40
    browser.filter("seed=3")
    assert len(browser.column("seed")) == 2
    assert browser.driver.get_log("browser") == []


def test_the_slices_of_a_volume_are_compared_side_by_side(browser, tmp_path):
    place = make(tmp_path / "sweep" / "volume")
    for name in ("target", "restored", "reference"):
        save(place / "images" / f"{name}-slices.png", np.zeros((2 * 16, 3 * 16, 3)))
    browser.open(write(tmp_path / "sweep"), width=400, mobile=True)
    browser.type("#leftside", "target-slices")
    assert browser.run("return document.getElementById('left').naturalWidth") == 48
    assert browser.find("#leftname").text == "target-slices"
    assert browser.driver.get_log("browser") == []


def test_the_leaderboard_sorts_and_fits_a_phone(browser, tmp_path):
    for name, psnr in (("a", 30.0), ("b", 25.0), ("c", 28.0)):
        place = make(tmp_path / name, name=name, status="failed" if name == "c" else "finished")
        change(place, psnr=psnr, seconds=psnr)
    browser.open(leaderboard_page.write(tmp_path), 360, 740, mobile=True)
    names = "return [...document.querySelector('table').tBodies[0].rows].map((row) => row.cells[0].textContent)"
    heads = browser.run(
        "return [...document.querySelectorAll('table:first-of-type th')].map((head) => head.textContent)"
    )
    assert browser.run(names) == ["a", "b", "c"]
    browser.click("th:nth-child(3) button")
    assert browser.run(names) == ["a", "b", "c"]
    browser.click("th:nth-child(3) button")
    assert heads[2] == "left to itself, dB"
    assert browser.run(names) == ["b", "a", "c"], "a missing value is last in both directions"
    assert browser.run("return document.documentElement.scrollWidth") <= 360
    assert browser.run("return [...document.images].every((image) => image.naturalWidth > 100)")
    assert browser.driver.get_log("browser") == []
