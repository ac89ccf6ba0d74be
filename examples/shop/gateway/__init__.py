# SPDX-FileCopyrightText: orion.tracing contributors
# SPDX-License-Identifier: Apache-2.0
"""The gateway: the public API, in front of the orders service."""
