# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The fulfilment service: ships what the topic of new orders announces, and answers what shipping costs."""
