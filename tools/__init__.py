# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Implementation of the Makefile: the local platform on this machine, and the gates of `make check` and `make test`."""
