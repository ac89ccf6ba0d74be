// SPDX-FileCopyrightText: orion.tracing contributors
// SPDX-License-Identifier: Apache-2.0

package orion.shop.pricing;

import io.opentelemetry.api.GlobalOpenTelemetry;
import io.opentelemetry.api.trace.Span;
import io.opentelemetry.api.trace.StatusCode;
import io.opentelemetry.api.trace.Tracer;
import io.opentelemetry.context.Scope;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.kafka.annotation.KafkaListener;
import org.springframework.kafka.core.KafkaTemplate;
import org.springframework.stereotype.Service;

/** Announces new prices to all replicas. The agent carries the trace context in the message's headers. */
@Service
class PriceChanges {

    private static final String TOPIC = "price-changes";
    private static final Logger log = LoggerFactory.getLogger(PriceChanges.class);
    private static final Tracer tracer = GlobalOpenTelemetry.getTracer("orion.shop.pricing");

    private final Prices prices;
    private final KafkaTemplate<String, String> messages;

    PriceChanges(Prices prices, KafkaTemplate<String, String> messages) {
        this.prices = prices;
        this.messages = messages;
    }

    /** Whether the sku is known; then its price is changed, and all replicas hear of it. */
    boolean change(String sku, long unitPrice) {
        // what @WithSpan does, written out: for code that is not a method of its own
        Span span = tracer.spanBuilder("change price").setAttribute("shop.sku", sku).startSpan();
        try (Scope scope = span.makeCurrent()) {
            boolean known = prices.change(sku, unitPrice);
            if (known) {
                messages.send(TOPIC, sku, Long.toString(unitPrice));
            }
            return known;
        } catch (RuntimeException error) {
            span.recordException(error);
            span.setStatus(StatusCode.ERROR);
            throw error;
        } finally {
            span.end();
        }
    }

    @KafkaListener(topics = TOPIC)
    void changed(String unitPrice) {
        Span.current().setAttribute("shop.unit_price_cents", Long.parseLong(unitPrice));
        log.info("price changed");
    }
}
