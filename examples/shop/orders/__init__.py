# SPDX-FileCopyrightText: orion.tracing contributors
# SPDX-License-Identifier: Apache-2.0
"""The orders service: reserves stock, asks for the price, stores the order and announces it on Kafka."""
