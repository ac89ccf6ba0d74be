// SPDX-FileCopyrightText: orion.tracing contributors
// SPDX-License-Identifier: Apache-2.0

package orion.shop.pricing;

import java.util.Optional;
import org.springframework.jdbc.core.simple.JdbcClient;
import org.springframework.stereotype.Repository;

/** Unit prices in cents, in the database. */
@Repository
class Prices {

    private final JdbcClient database;

    Prices(JdbcClient database) {
        this.database = database;
    }

    Optional<Long> find(String sku) {
        return database.sql("SELECT unit_price_cents FROM prices WHERE sku = ?")
                .param(sku)
                .query(Long.class)
                .optional();
    }

    /** Whether the sku is known, and so has the new price. */
    boolean change(String sku, long unitPrice) {
        return database.sql("UPDATE prices SET unit_price_cents = ? WHERE sku = ?")
                        .param(unitPrice)
                        .param(sku)
                        .update()
                > 0;
    }
}
