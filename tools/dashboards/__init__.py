# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The dashboards of the grafana role, and the program that writes them: python -m tools.dashboards

Each module below has one dashboard, or two, as Python; roles/grafana/files/dashboards has what they become, Grafana's
classic JSON with fixed uids, which Grafana 11 to 13 load. A unit test compares the two.

builder.py has the types. They are our own, because grafana-foundation-sdk on the Python package index ends at Grafana
11.6 and numbers its releases so that pip chooses the one for 10.1 unless it is pinned, and because its types have no
place for what the tests need of a query: why it may have no data.
"""
