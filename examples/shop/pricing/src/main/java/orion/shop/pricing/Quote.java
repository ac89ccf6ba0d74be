// SPDX-FileCopyrightText: orion.tracing contributors
// SPDX-License-Identifier: Apache-2.0

package orion.shop.pricing;

import com.fasterxml.jackson.annotation.JsonProperty;

/** The price of an order, in cents. */
public record Quote(
        String sku,
        int quantity,
        @JsonProperty("unit_price_cents") long unitPrice,
        @JsonProperty("shipping_cost_cents") long shippingCost,
        @JsonProperty("total_cents") long total) {

    static Quote of(String sku, int quantity, long unitPrice, long shippingCost) {
        return new Quote(sku, quantity, unitPrice, shippingCost, quantity * unitPrice + shippingCost);
    }
}
