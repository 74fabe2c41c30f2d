"""A data flow as an SVG picture, from left to right, in the colors of the page."""

from collections.abc import Iterator
from html import escape
from itertools import pairwise
from typing import Any

from grandalf.graphs import Edge, Graph, Vertex
from grandalf.layouts import SugiyamaLayout

from docs.extensions.dataflow import Flow, Node

__all__ = ["svg"]

HEIGHT, LETTER, PADDING, MARGIN = 26, 7.8, 14, 6
ACROSS, ALONG = 12, 30
"""Space between nodes of one column, and between columns."""


class _Box:
    """What the layout needs of a node; it works from top to bottom, so width is height here."""

    def __init__(self, node: Node):
        self.node = node
        length = max(HEIGHT, LETTER * len(node.label) + PADDING)
        self.w, self.h = HEIGHT, length
        self.xy = (0.0, 0.0)

    @property
    def center(self) -> tuple[float, float]:
        return self.xy[1], self.xy[0]


class _Path:
    """What the layout needs of an edge: it is given the points between columns."""

    def __init__(self):
        self.points: list[tuple[float, float]] = []

    def setpath(self, points: list[tuple[float, float]]) -> None:
        self.points = [(y, x) for x, y in points]


def svg(flow: Flow, title: str) -> str:
    """The picture; ``title`` is read aloud in its place."""
    vertices = {number: Vertex(number) for number in flow.nodes}
    for number, vertex in vertices.items():
        vertex.view = _Box(flow.nodes[number])
    edges = []
    for number, node in flow.nodes.items():
        for source in node.sources:
            edges.append(Edge(vertices[source], vertices[number]))
            edges[-1].view = _Path()
    graph = Graph([*vertices.values()], edges)
    offset = 0.0
    for part in graph.C:
        _lay_out(part)
        boxes, paths = [v.view for v in part.sV], [edge.view for edge in part.sE]
        edges_of_boxes = [box.xy[0] + half for box in boxes for half in (-box.w / 2, box.w / 2)]
        reached = edges_of_boxes + [y for path in paths for _, y in path.points]
        shift = offset - min(reached)
        for box in boxes:
            box.xy = box.xy[0] + shift, box.xy[1]
        for path in paths:
            path.points = [(x, y + shift) for x, y in path.points]
        offset += max(reached) - min(reached) + 2 * ACROSS
    boxes = [vertex.view for vertex in vertices.values()]
    left = min(box.center[0] - box.h / 2 for box in boxes) - MARGIN
    right = max(box.center[0] + box.h / 2 for box in boxes) + MARGIN
    width, height = right - left, offset - 2 * ACROSS + 2 * MARGIN
    body = [*_curves(edges), *(line for box in boxes for line in _shape(box))]
    return "\n".join(
        [
            f'<svg class="dataflow" role="img" aria-label="{escape(title)}" width="{width:.0f}" '
            f'height="{height:.0f}" viewBox="{left:.0f} {-MARGIN} {width:.0f} {height:.0f}">',
            *body,
            "</svg>",
        ]
    )


def _lay_out(part: Any) -> None:
    layout = SugiyamaLayout(part)
    layout.xspace, layout.yspace = ACROSS, ALONG
    roots = [vertex for vertex in part.sV if not vertex.e_in()]
    layout.init_all(roots=roots)
    layout.draw(4)


def _curves(edges: list[Any]) -> Iterator[str]:
    """From the right of a node to the left of another, through the points between columns."""
    for edge in edges:
        first, last = (vertex.view for vertex in edge.v)
        start = first.center[0] + first.h / 2, first.center[1]
        end = last.center[0] - last.h / 2, last.center[1]
        points = [start, *edge.view.points[1:-1], end]
        path = f"M{start[0]:.0f} {start[1]:.0f}"
        for (x, y), (to_x, to_y) in pairwise(points):
            middle = (x + to_x) / 2
            path += f" C{middle:.0f} {y:.0f} {middle:.0f} {to_y:.0f} {to_x:.0f} {to_y:.0f}"
        yield f'<path class="flow" d="{path}"/>'


def _shape(box: _Box) -> Iterator[str]:
    x, y = box.center
    yield (
        f'<rect class="{box.node.kind}" x="{x - box.h / 2:.1f}" y="{y - box.w / 2:.1f}" '
        f'width="{box.h:.1f}" height="{box.w}" rx="{13 if box.node.kind == "operation" else 4}"/>'
    )
    yield f'<text x="{x:.1f}" y="{y:.1f}">{escape(box.node.label)}</text>'
