// SPDX-FileCopyrightText: orion.tracing contributors
// SPDX-License-Identifier: Apache-2.0

package orion.shop.pricing;

import com.fasterxml.jackson.annotation.JsonProperty;
import org.springframework.beans.factory.annotation.Value;
import org.springframework.stereotype.Component;
import org.springframework.web.client.RestClient;

/** Asks the fulfilment service what it costs to ship. */
@Component
class ShippingCosts {

    record Answer(@JsonProperty("shipping_cost_cents") long shippingCost) {}

    private final RestClient fulfilment;

    ShippingCosts(RestClient.Builder builder, @Value("${pricing.fulfilment-url}") String url) {
        fulfilment = builder.baseUrl(url).build();
    }

    long of(int quantity) {
        return fulfilment
                .get()
                .uri("/shipping-cost?quantity={quantity}", quantity)
                .retrieve()
                .requiredBody(Answer.class)
                .shippingCost();
    }
}
