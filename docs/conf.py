"""Sphinx configuration. The reference is read from the installed wheel, as users get it."""

import re
from importlib import metadata

project = "Raddle"
author = "the Raddle developers"
copyright = "the Raddle developers, MIT or Apache-2.0"
release = version = metadata.version("raddle")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]

html_theme = "furo"
html_title = f"Raddle {re.match(r'[0-9.]+', release)[0]}"

# Docstrings are read in editors and terminals first, so `name` is code there as in Markdown.
default_role = "code"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
napoleon_google_docstring = True
napoleon_numpy_docstring = False

# Every reference to Raddle's own names must resolve. The standard library's are not looked up: the build needs
# no network. Type variables and protocols that only annotations name have no page.
nitpick_ignore_regex = [("py:.*", r"(?!raddle\b).*"), ("py:class", r"raddle\._internal\..*")]
