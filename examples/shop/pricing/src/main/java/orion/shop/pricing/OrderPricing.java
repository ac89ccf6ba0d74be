// SPDX-FileCopyrightText: orion.tracing contributors
// SPDX-License-Identifier: Apache-2.0

package orion.shop.pricing;

import static io.opentelemetry.api.common.AttributeKey.longKey;

import io.opentelemetry.api.baggage.Baggage;
import io.opentelemetry.api.common.Attributes;
import io.opentelemetry.api.trace.Span;
import io.opentelemetry.instrumentation.annotations.SpanAttribute;
import io.opentelemetry.instrumentation.annotations.WithSpan;
import java.time.Duration;
import java.util.Optional;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.stereotype.Service;

/** The price of an order: unit price from the database, shipping cost from the fulfilment service. */
@Service
class OrderPricing {

    private static final Logger log = LoggerFactory.getLogger(OrderPricing.class);

    private final Prices prices;
    private final ShippingCosts shippingCosts;

    OrderPricing(Prices prices, ShippingCosts shippingCosts) {
        this.prices = prices;
        this.shippingCosts = shippingCosts;
    }

    /**
     * Empty where the sku has no price. An exception that leaves this method is recorded on its span, whose status
     * becomes Error.
     */
    @WithSpan("price order")
    Optional<Quote> price(
            @SpanAttribute("shop.sku") String sku, @SpanAttribute("shop.quantity") int quantity) {
        Optional<Long> unitPrice = prices.find(sku);
        if (unitPrice.isEmpty()) {
            return Optional.empty();
        }
        misbehave(sku);
        Quote quote = Quote.of(sku, quantity, unitPrice.get(), shippingCosts.of(quantity));

        Span span = Span.current();
        span.setAttribute("shop.total_cents", quote.total());
        span.addEvent("order priced", Attributes.of(longKey("shop.unit_price_cents"), quote.unitPrice()));
        log.atInfo()
                .addKeyValue("sku", sku)
                .addKeyValue("tenant", Baggage.current().getEntryValue("tenant.id"))
                .log("order priced");
        return Optional.of(quote);
    }

    /** Two skus of the demo that make traces worth looking at. */
    private static void misbehave(String sku) {
        if (sku.equals("broken-price")) {
            throw new IllegalStateException("the price of broken-price cannot be computed");
        }
        if (sku.equals("slow")) {
            try {
                Thread.sleep(Duration.ofMillis(1500));
            } catch (InterruptedException interrupted) {
                Thread.currentThread().interrupt();
            }
        }
    }
}
