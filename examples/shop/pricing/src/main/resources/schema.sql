-- SPDX-FileCopyrightText: orion.tracing contributors
-- SPDX-License-Identifier: Apache-2.0
CREATE TABLE IF NOT EXISTS prices (sku text PRIMARY KEY, unit_price_cents bigint NOT NULL);
