"""`lesson-table`: all lessons of the lecture, each with its page, its slide and what it shows.

The order of the rows is that of the lecture. The options divide the table: `:first:` and `:last:`
are the names of the first and the last lesson that it lists.
"""

from typing import ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from jax_rnn.lecture.lessons import LESSONS, load

__all__ = ["setup"]


class LessonTable(SphinxDirective):
    option_spec: ClassVar = {"first": directives.unchanged, "last": directives.unchanged}

    def run(self) -> list[nodes.Node]:
        first = LESSONS.index(self.options.get("first", LESSONS[0]))
        last = LESSONS.index(self.options.get("last", LESSONS[-1]))
        rows = ["| lesson | on the slides | what it shows |", "| --- | --- | --- |"]
        for lesson in map(load, LESSONS[first : last + 1]):
            link = f"[`{lesson.name}`]({lesson.name}.md)"
            rows.append(f"| {link} | {lesson.slide} | {lesson.teaches} |")
        return self.parse_text_to_nodes("\n".join(rows))


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("lesson-table", LessonTable)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
