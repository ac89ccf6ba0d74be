// SPDX-FileCopyrightText: orion.tracing contributors
// SPDX-License-Identifier: Apache-2.0

package orion.shop.pricing;

import com.fasterxml.jackson.annotation.JsonProperty;
import org.springframework.http.HttpStatus;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.PutMapping;
import org.springframework.web.bind.annotation.RequestBody;
import org.springframework.web.bind.annotation.ResponseStatus;
import org.springframework.web.bind.annotation.RestController;
import org.springframework.web.server.ResponseStatusException;

@RestController
class PriceController {

    record Order(String sku, int quantity) {}

    record NewPrice(@JsonProperty("unit_price_cents") long unitPrice) {}

    private final OrderPricing pricing;
    private final PriceChanges changes;

    PriceController(OrderPricing pricing, PriceChanges changes) {
        this.pricing = pricing;
        this.changes = changes;
    }

    @PostMapping("/price")
    Quote price(@RequestBody Order order) {
        return pricing.price(order.sku(), order.quantity()).orElseThrow(() -> notFound(order.sku()));
    }

    @PutMapping("/prices/{sku}")
    @ResponseStatus(HttpStatus.NO_CONTENT)
    void change(@PathVariable String sku, @RequestBody NewPrice price) {
        if (!changes.change(sku, price.unitPrice())) {
            throw notFound(sku);
        }
    }

    @GetMapping("/healthz")
    String health() {
        return "ok";
    }

    private static ResponseStatusException notFound(String sku) {
        return new ResponseStatusException(HttpStatus.NOT_FOUND, "there is no price for " + sku);
    }
}
