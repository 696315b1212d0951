#!/usr/bin/env python3
"""How many of what a fleet needs: from measured figures to partitions, workers, nodes and money.

    model.py            writes the tables of docs/scaling.md anew
    model.py --check    fails if they are not what would be written
    model.py RATE       prints what RATE deliveries a second need

The inputs lie in one place each: figures.json is what `make bench BACKEND=fleet
ARGS="--json deploy/scaling/figures.json"` wrote; assumptions.json is what no bench here can measure.
"""

import json
import math
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
PAGE = HERE.parents[1] / "docs" / "scaling.md"
RATES = (1_000, 10_000, 30_000, 100_000)


def load():
    figures = json.loads((HERE / "figures.json").read_text())
    assumptions = {k: v["value"] for k, v in json.loads((HERE / "assumptions.json").read_text()).items()}
    return figures, assumptions


def carries(figures, given):
    """What one of each carries, in deliveries a second, without its headroom."""
    one_each = figures["fan_outs"][0]
    full, backlog = (it["cpu_us_per_delivery"] for it in (figures["delivered"], one_each["drained"]))
    busy = given["busy_share_max"]
    return {
        # One queue's leader is one Erlang process: no more than a core. What a straight loop took from
        # one queue is less than that, and was measured.
        "partition": one_each["floor"]["deliveries_per_s"] * busy,
        "worker core": 1e6 / backlog["worker"] * busy,
        "API core": 1e6 / full["api"] * busy,
        # Redis runs commands on one core.
        "Redis": 1e6 / backlog["store"] * busy,
        # Publishing included; the bench's broker is a single node, a cluster writes everything three times.
        "broker core": 1e6 / (full["broker"] * given["replication_cost"]) * busy,
    }


def needs(rate, figures, given):
    each = carries(figures, given)
    count = {name: math.ceil(rate / one) for name, one in each.items()}
    in_flight = rate * given["receiver_ms"] / 1000
    worker_cores = count["worker core"]
    workers = max(math.ceil(worker_cores / given["worker_cores"]), math.ceil(in_flight / given["concurrency"]))
    zones = given["zones"]
    # One zone away: the others carry all of it.
    spare = zones / (zones - 1)
    workers = math.ceil(workers * spare)
    apis = math.ceil(math.ceil(count["API core"] / given["api_cores"]) * spare)
    nodes = max(3, math.ceil(count["broker core"] / given["broker_node_cores"]))
    cores = workers * given["worker_cores"] + apis * given["api_cores"]
    cores += max(2 * nodes, count["broker core"]) + count["Redis"]
    per_million_s = 1e6 / rate
    body = given["body_bytes"]
    return {
        "deliveries a second": rate,
        "partitions": count["partition"],
        "workers": workers,
        "APIs": apis,
        "broker nodes": nodes,
        "broker cores": count["broker core"],
        "Redis": count["Redis"],
        "cores": cores,
        "requests under way": math.ceil(in_flight),
        "out, Mbit/s": round(rate * (body + given["http_overhead_bytes"]) * 8 / 1e6),
        "broker disks, MB/s": round(rate * body * given["writes_per_event"] / 1e6),
        "USD a million": round(
            cores * per_million_s / 3600 * given["core_hour_usd"]
            + (body + given["http_overhead_bytes"]) * 1e6 / 1e9 * given["egress_gb_usd"], 3),
    }


def table(rows):
    heads = list(rows[0])
    lines = ["| " + " | ".join(heads) + " |", "| " + " | ".join("---" for _ in heads) + " |"]
    lines += ["| " + " | ".join(f"{row[head]:,}" if isinstance(row[head], (int, float)) else row[head] for head in heads) + " |"
              for row in rows]
    return "\n".join(lines)


def after_outage(rate, minutes, figures, given):
    """All receivers away, then back: what waits at the end, and until it is delivered (minute by minute)."""
    fleet = needs(rate, figures, given)
    each = carries(figures, given)
    workers = fleet["workers"] * given["worker_cores"] * each["worker core"]
    capacity = min(workers, fleet["partitions"] * each["partition"], fleet["Redis"] * each["Redis"])
    waiting = rate * minutes * 60
    minute = 0
    while waiting > 0 and minute < 10_000:
        waiting += (rate - capacity) * 60
        minute += 1
    return {
        "deliveries a second": rate, "outage, min": minutes, "waiting at its end": rate * minutes * 60,
        "capacity": round(capacity), "all delivered after, min": minute if waiting <= 0 else "never",
    }


def tables():
    figures, given = load()
    each = carries(figures, given)
    first = sorted(each.items(), key=lambda item: item[1])
    listed = json.loads((HERE / "assumptions.json").read_text())
    return {
        "measured": table([{"one": name, "deliveries a second": round(one)} for name, one in first]),
        "assumed": table([{"assumption": k, "value": v["value"], "why": v["why"]} for k, v in listed.items()]),
        "needed": table([needs(rate, figures, given) for rate in RATES]),
        "outage": table([after_outage(rate, 10, figures, given) for rate in RATES]),
    }


def filled(page):
    for name, text in tables().items():
        begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
        head, rest = page.split(begin, 1)
        page = head + begin + text + "\n" + end + rest.split(end, 1)[1]
    return page


def main():
    if sys.argv[1:] and sys.argv[1] != "--check":
        print(json.dumps(needs(float(sys.argv[1]), *load()), indent=2))
        return
    page = PAGE.read_text()
    if sys.argv[1:]:
        if filled(page) != page:
            sys.exit("model: docs/scaling.md is not up to date: run deploy/scaling/model.py")
        return
    PAGE.write_text(filled(page))


main()
