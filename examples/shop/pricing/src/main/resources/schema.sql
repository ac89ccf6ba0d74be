CREATE TABLE IF NOT EXISTS prices (sku text PRIMARY KEY, unit_price_cents bigint NOT NULL);
