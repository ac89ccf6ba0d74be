# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""List prices of AWS by region. Pure: no I/O, no Ansible."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Prices:
    """In USD. storage: GiB and month in S3 Standard. put, get: 1,000 requests. cpu, memory: vCPU and GiB for an hour.
    volume: GiB and month of a persistent volume."""

    storage: float = 0.023
    put: float = 0.005
    get: float = 0.0004
    cpu: float = 0.04048
    memory: float = 0.004445
    volume: float = 0.08


# Public list prices without discounts (S3 Standard, EBS gp3, and Fargate for compute), as of 2025; those of storage are
# still the same in July 2026. They are a start: give your own with plan_prices.
# https://aws.amazon.com/s3/pricing/, https://aws.amazon.com/fargate/pricing/
REGIONS = {
    "us-east-1": Prices(),
    "us-east-2": Prices(),
    "us-west-2": Prices(),
    "eu-west-1": Prices(volume=0.088),
    "eu-central-1": Prices(0.0245, 0.0054, 0.00043, 0.04656, 0.00511, 0.0952),
    "ap-southeast-1": Prices(0.025, 0.005, 0.0004, 0.05056, 0.00553, 0.096),
    "ap-southeast-2": Prices(0.025, 0.0055, 0.00044, 0.04856, 0.00532, 0.096),
    "ap-northeast-1": Prices(0.025, 0.0047, 0.00037, 0.05056, 0.00553, 0.096),
    "sa-east-1": Prices(0.0405, 0.007, 0.00056, 0.0696, 0.0076, 0.152),
}
