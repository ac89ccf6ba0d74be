# SPDX-FileCopyrightText: orion.tracing contributors
# SPDX-License-Identifier: Apache-2.0
"""The fulfilment service: ships what the topic of new orders announces, and answers what shipping costs."""
