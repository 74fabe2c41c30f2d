"""How Sphinx builds the site: `make docs`, into build/site."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from docs.extensions.files import ADDRESS
from docs.extensions.source_links import linkcode_resolve as linkcode_resolve

project = "jax_rnn"
author = "the authors of jax_rnn"
copyright = f"{author}, Apache-2.0"

extensions = [
    "docs.extensions.as_on_slide",
    "docs.extensions.command_line",
    "docs.extensions.docstrings",
    "docs.extensions.gallery",
    "docs.extensions.lesson",
    "docs.extensions.lesson_runs",
    "docs.extensions.lesson_table",
    "docs.extensions.notebooks",
    "docs.extensions.reference",
    "docs.extensions.repository",
    "myst_parser",
    "sphinx-mathjax-offline",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx.ext.napoleon",
    "sphinx.ext.linkcode",
]
exclude_patterns = ["extensions", "reference/examples"]
nitpicky = True
nitpick_ignore_regex = [
    ("py:.*", r"(?!jax_rnn\.).*"),  # types of other libraries, which annotations name
    ("py:.*", r"jax_rnn(\.\w+){3,}"),  # types of ours that are not public
]

maximum_signature_line_length = 80
autodoc_member_order = "bysource"
napoleon_custom_sections = [("Args of all layers", "params_style")]
napoleon_use_ivar = True

myst_enable_extensions = ["attrs_block", "attrs_inline", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

copybutton_prompt_text = "$ "

html_theme = "pydata_sphinx_theme"
html_title = "jax_rnn"
html_static_path = ["_static"]
html_favicon = "_static/logo.svg"
html_context = {"default_mode": "auto"}
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False
WITH_CONTENTS = ("how_to", "explanation", "cells", "coming_from", "reference")
"""Sections whose pages list their headings at the side; the others have wide code instead."""
html_theme_options = {
    "logo": {"image_light": "_static/logo.svg", "image_dark": "_static/logo.svg", "text": project},
    "icon_links": [{"name": "GitHub", "url": ADDRESS, "icon": "fa-brands fa-github"}],
    "navbar_align": "left",
    "search_as_you_type": True,
    "secondary_sidebar_items": {f"{section}/**": ["page-toc"] for section in WITH_CONTENTS},
    "footer_start": ["copyright"],
    "footer_end": [],
}
