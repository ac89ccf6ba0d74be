package orion.shop.pricing;

import io.opentelemetry.api.trace.Span;
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

    private final Prices prices;
    private final KafkaTemplate<String, String> messages;

    PriceChanges(Prices prices, KafkaTemplate<String, String> messages) {
        this.prices = prices;
        this.messages = messages;
    }

    /** Whether the sku is known; then its price is changed, and all replicas hear of it. */
    boolean change(String sku, long unitPrice) {
        boolean known = prices.change(sku, unitPrice);
        if (known) {
            messages.send(TOPIC, sku, Long.toString(unitPrice));
        }
        return known;
    }

    @KafkaListener(topics = TOPIC)
    void changed(String unitPrice) {
        Span.current().setAttribute("shop.unit_price_cents", Long.parseLong(unitPrice));
        log.info("price changed");
    }
}
