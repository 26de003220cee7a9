"""How the documentation is built: sphinx-build -W -b html docs build/docs."""

from importlib import metadata

project = "dcgan-viz"
version = release = metadata.version("dcgan-viz")
copyright = "the dcgan-viz contributors"

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_click",
]
html_theme = "furo"
html_title = f"dcgan-viz {release}"
exclude_patterns = ["blind-*"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
autodoc_member_order = "bysource"
autodoc_typehints = "none"
napoleon_google_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True
# Names in single backticks are code.
default_role = "code"
