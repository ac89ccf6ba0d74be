-- SPDX-FileCopyrightText: orion.tracing contributors
-- SPDX-License-Identifier: Apache-2.0
INSERT INTO prices (sku, unit_price_cents)
VALUES ('book', 1250), ('slow', 990), ('broken-price', 500), ('flaky-shipment', 2000)
ON CONFLICT DO NOTHING;
