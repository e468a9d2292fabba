"""How the documentation is built: Sphinx with MyST, see `make docs`."""

from __future__ import annotations

import sabir

project = "Sabir"
author = "the Sabir authors"
copyright = "2026, the Sabir authors"
version = release = sabir.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
nitpicky = False

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "signature"

highlight_language = "none"

html_theme = "furo"
html_title = "Sabir"
