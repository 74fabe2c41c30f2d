"""A browser, as far as the tests of the site need one."""

import json
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

__all__ = ["SITE", "Browser", "pages"]

SITE = Path(__file__).parents[2] / "build" / "site"
SIGNATURE = "dt.sig dl"
"""Sphinx writes the parameters of a signature as a list of definitions without terms."""
SERIOUS = ("serious", "critical")
STILL = """
    const style = document.createElement('style');
    style.textContent = '* { transition: none !important; animation: none !important }';
    document.head.append(style);
    await new Promise(resolve => setTimeout(resolve, 100))"""
"""Ends transitions, in which colours are those of no theme."""


def pages() -> list[str]:
    """Every page of the site, by its path; none if it is not built."""
    paths = (path.relative_to(SITE) for path in SITE.rglob("*.html"))
    return sorted(path.as_posix() for path in paths if path.parts[0] != "_static")


class Browser:
    """Opens pages of the site.

    Attributes:
        chrome: the driver of selenium.
        address: of the site.
    """

    def __init__(self, chrome: Any, address: str):
        self.chrome, self.address = chrome, address

    def open(self, page: str, *, width: int = 1280, theme: str = "light") -> None:
        """Open a page in a window of this width; notes about pages before are forgotten."""
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        self.chrome.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        scheme = [{"name": "prefers-color-scheme", "value": theme}]
        self.chrome.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": scheme})
        self.complaints(), self.requested()
        self.chrome.get(f"{self.address}/{page}")
        self.run("if (window.MathJax?.startup) await MathJax.startup.promise")

    def run(self, script: str) -> Any:
        """What an asynchronous function with this body returns."""
        return self.chrome.execute_async_script(
            f"const done = arguments[0]; (async () => {{ {script} }})().then(done)"
        )

    def complaints(self) -> list[str]:
        """Errors and warnings on the console."""
        log = self.chrome.get_log("browser")
        return [note["message"] for note in log if note["level"] in ("SEVERE", "WARNING")]

    def requested(self) -> list[str]:
        """The addresses that were asked for, of any host."""
        return [*self._requests()]

    def _requests(self) -> Iterator[str]:
        for note in self.chrome.get_log("performance"):
            message = json.loads(note["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                url = message["params"]["request"]["url"]
                if url.startswith(("http", "ws")):
                    yield url

    def too_wide(self) -> int:
        """The number of pixels by which the page is wider than the window."""
        return self.run("const e = document.documentElement; return e.scrollWidth - e.clientWidth")

    def violations(self) -> list[str]:
        """Serious violations of the rules of accessibility that axe finds."""
        self.chrome.execute_script(_axe())
        self.run(STILL)
        found = self.run(f"""
            const page = {{ include: [['html']], exclude: [['{SIGNATURE}']] }};
            return (await axe.run(page, {{ resultTypes: ['violations'] }})).violations""")
        return [
            f"{rule['id']}: {node['html'][:200]} {node['failureSummary']}"
            for rule in found
            if rule["impact"] in SERIOUS
            for node in rule["nodes"]
        ]


@cache
def _axe() -> str:
    return files("axe_core_python").joinpath("axe.min.js").read_text("utf-8")
