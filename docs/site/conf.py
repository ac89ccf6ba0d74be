# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Sphinx settings of the documentation site. tools/docs_site.py collects the pages and builds it.

Every setting: https://www.sphinx-doc.org/en/master/usage/configuration.html and
https://myst-parser.readthedocs.io/en/latest/configuration.html
"""

from __future__ import annotations

from docutils import nodes
from sphinx.application import Sphinx

project = "orion.tracing"
copyright = "orion.tracing contributors"
html_title = "orion.tracing"

extensions = ["myst_parser", "sphinx_antsibull_ext"]
# Headings down to this level get the anchors that GitHub gives them, so that one link serves both.
myst_heading_anchors = 4
nitpicky = True

# What the pages of plugins refer to in ansible-core's documentation. Not intersphinx, which would need the network.
ANSIBLE_CORE = "https://docs.ansible.com/projects/ansible-core/devel/"
ANSIBLE_CORE_PAGES = {
    "action_plugins": "plugins/action.html",
    "ansible_configuration_settings": "reference_appendices/config.html",
    "ANSIBLE_PYTHON_INTERPRETER": "reference_appendices/config.html#envvar-ANSIBLE_PYTHON_INTERPRETER",
    "common_return_values": "reference_appendices/common_return_values.html",
}

default_role = "any"
pygments_style = "ansible"
highlight_language = "YAML+Jinja"

html_theme = "sphinx_ansible_theme"
# Instead of the theme's links to events and products.
html_theme_options = {"topbar_links": {"Repository": "https://github.com/orion-tracing/orion.tracing"}}
html_copy_source = False
html_show_sphinx = False
html_use_index = False


def link_to_ansible_core(_app: Sphinx, _env: object, node: nodes.Element, content: nodes.Element) -> nodes.Node | None:
    """The link for a reference that these pages do not define, or None, of which Sphinx then warns."""
    page = ANSIBLE_CORE_PAGES.get(node["reftarget"])
    return nodes.reference("", "", content, refuri=ANSIBLE_CORE + page) if page else None


def setup(app: Sphinx) -> None:
    app.connect("missing-reference", link_to_ansible_core)
