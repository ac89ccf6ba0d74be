// SPDX-FileCopyrightText: orion.tracing contributors
// SPDX-License-Identifier: Apache-2.0

package orion.shop.pricing;

import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;

/** What an order costs. There is no tracing set-up here: the Java agent brings it. */
@SpringBootApplication
public class PricingApplication {

    public static void main(String[] args) {
        SpringApplication.run(PricingApplication.class, args);
    }
}
