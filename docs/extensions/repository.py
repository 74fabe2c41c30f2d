"""Links from pages to files of the repository outside docs/, which the site has on GitHub.

A page links by a relative path, which also works where the page is read as a file. The target must
exist, so such a link cannot break unnoticed.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform

from docs.extensions.files import ROOT, address_of

__all__ = ["setup"]


class FilesOfTheRepository(SphinxTransform):
    """MyST makes downloads or unknown references of such links; here they become addresses."""

    default_priority = 210

    def apply(self, **_: Any) -> None:
        folder = Path(self.env.doc2path(self.env.docname)).parent
        for node in [*self._links()]:
            path = folder.joinpath(_target(node)).resolve()
            inside = path.is_relative_to(self.env.srcdir)
            if not inside and path.is_relative_to(ROOT) and path.exists():
                link = nodes.reference("", "", *node.children, refuri=address_of(path))
                node.replace_self(link)

    def _links(self) -> Iterator[nodes.Element]:
        for kind in (addnodes.download_reference, addnodes.pending_xref):
            yield from (node for node in self.document.findall(kind) if node["reftype"] == "myst")


def _target(node: nodes.Element) -> str:
    suffix = ".md" if node["refdomain"] == "doc" else ""
    return f"{node['reftarget']}{suffix}"


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_transform(FilesOfTheRepository)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
