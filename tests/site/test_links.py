"""Links and images of the site lead to files of the site."""

from html.parser import HTMLParser
from urllib.parse import unquote, urlsplit

from tests.site.kit import SITE


class Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value for name, value in attrs if name in ("href", "src") and value]


def test_links_within_the_site_lead_to_files(address, page):
    links = Links()
    links.feed((SITE / page).read_text("utf-8"))
    assert links.found
    for link in links.found:
        parts = urlsplit(link)
        if not parts.scheme and not parts.netloc and parts.path:
            assert (SITE / page).parent.joinpath(unquote(parts.path)).exists(), link
