# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The orders service: reserves stock, asks for the price, stores the order and announces it on Kafka."""
