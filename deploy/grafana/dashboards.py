#!/usr/bin/env python3
"""Makes the Grafana dashboards beside it, and the PrometheusRule out of the rules.

    dashboards.py           writes them
    dashboards.py --check   fails if one is not what would be written

What stands here is the source; nobody edits the JSON. A panel is a title, a unit and its lines:
(PromQL, legend). Gauges of the whole fleet are told by every process with an API: `max`.
"""

import json
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
RULES = HERE.parent / "prometheus" / "rules.yaml"
RULE_OBJECT = HERE.parent / "kubernetes/components/monitoring/prometheus-rule.yaml"
RATE = "$__rate_interval"


def rate(metric, by=None):
    grouped = f" by ({by})" if by else ""
    return f"sum{grouped} (rate({metric}[{RATE}]))"


def quantiles(metric, by=None):
    labels = f"le, {by}" if by else "le"
    return [
        (f"histogram_quantile({q}, sum by ({labels}) (rate({metric}_bucket[{RATE}])))",
         f"p{round(q * 100)}" + (f" {{{{{by}}}}}" if by else ""))
        for q in (0.5, 0.9, 0.99)
    ]


GIVEN_UP = "hookfleet:given_up:ratio_rate1h"

FLEET = [
    ("How it is", [
        ("Delivered of all that ended, last hour", "percentunit", [(f"1 - {GIVEN_UP}", "")]),
        ("Oldest waiting", "s", [("hookfleet:oldest_waiting:seconds", "{{queue}}")]),
        ("Dead letters", "short", [('max(hookfleet_queue_messages{queue="dead"})', "")]),
        ("Breakers open", "short", [("max by (state) (hookfleet_breakers)", "{{state}}")]),
    ]),
    ("In and out", [
        ("Events taken in", "reqps", [(rate("hookfleet_events_published_total", "outcome"), "{{outcome}}")]),
        ("Attempts", "reqps", [(rate("hookfleet_attempts_total", "outcome, status_class"), "{{outcome}} {{status_class}}")]),
        ("Delivered and given up", "reqps", [
            (rate("hookfleet_delivery_latency_seconds_count"), "delivered"),
            (rate("hookfleet_dead_letters_total", "reason"), "{{reason}}"),
        ]),
        ("Put off, tried again, come back", "reqps", [
            (rate("hookfleet_deferrals_total", "reason"), "put off: {{reason}}"),
            (rate("hookfleet_retries_scheduled_total"), "retries"),
            (rate("hookfleet_redeliveries_total"), "redeliveries"),
        ]),
    ]),
    ("How long", [
        ("From acceptance to delivery", "s", quantiles("hookfleet_delivery_latency_seconds")),
        ("An attempt", "s", quantiles("hookfleet_attempt_duration_seconds")),
        ("An answer of the API", "s", quantiles("hookfleet_http_request_duration_seconds", "route")),
    ]),
    ("What waits", [
        ("Messages", "short", [("hookfleet:queue_messages:max", "{{queue}}")]),
        ("Taken", "reqps", [(rate("hookfleet_leases_total", "kind"), "{{kind}}")]),
        ("Consumers", "short", [("max by (queue) (hookfleet_queue_consumers)", "{{queue}}")]),
    ]),
    ("Workers", [
        ("Slots in use", "percentunit", [
            ("hookfleet_slots_in_use / hookfleet_slots", "{{instance}}"),
        ]),
        ("Requests under way", "short", [("hookfleet_attempts_in_flight", "{{instance}}")]),
        ("CPU", "short", [(f"rate(process_cpu_seconds_total{{job=~\".*hookfleet.*\"}}[{RATE}])", "{{instance}}")]),
        ("Memory", "bytes", [('process_resident_memory_bytes{job=~".*hookfleet.*"}', "{{instance}}")]),
        ("Versions", "short", [("count by (version, role) (hookfleet_build_info)", "{{role}} {{version}}")]),
        ("Drained when stopping", "short", [("sum by (result) (increase(hookfleet_drained_messages_total[1h]))", "{{result}}")]),
    ]),
]

ONE = 'tenant=~"$tenant",endpoint=~"$endpoint"'
ENDPOINTS = [
    ("Only with --endpoint-metrics-max; `other` stands for all endpoints past it", [
        ("Attempts that fail", "percentunit", [
            (rate(f'hookfleet_endpoint_attempts_total{{{ONE},outcome="failure"}}', "tenant, endpoint")
             + " / " + rate(f"hookfleet_endpoint_attempts_total{{{ONE}}}", "tenant, endpoint"),
             "{{tenant}} {{endpoint}}"),
        ]),
        ("Attempts", "reqps", [
            (rate(f"hookfleet_endpoint_attempts_total{{{ONE}}}", "tenant, endpoint, outcome"),
             "{{tenant}} {{endpoint}} {{outcome}}"),
        ]),
        ("An attempt, on average", "s", [
            (rate(f"hookfleet_endpoint_attempt_seconds_total{{{ONE}}}", "tenant, endpoint")
             + " / " + rate(f"hookfleet_endpoint_attempts_total{{{ONE}}}", "tenant, endpoint"),
             "{{tenant}} {{endpoint}}"),
        ]),
        ("The ten that fail most", "reqps", [
            ("topk(10, " + rate(f'hookfleet_endpoint_attempts_total{{{ONE},outcome="failure"}}', "tenant, endpoint") + ")",
             "{{tenant}} {{endpoint}}"),
        ]),
    ]),
]

BROKER = [
    ("As the fleet sees it", [
        ("Until a publish is confirmed", "s", quantiles("hookfleet_queue_publish_duration_seconds", "message")),
        ("Errors of the broker", "reqps", [(rate("hookfleet_queue_errors_total", "operation, error"), "{{operation}} {{error}}")]),
        ("A request to Redis", "s", quantiles("hookfleet_redis_request_duration_seconds")),
        ("Errors of Redis", "reqps", [(rate("hookfleet_redis_errors_total", "error"), "{{error}}")]),
    ]),
    ("As RabbitMQ sees itself", [
        ("Published and confirmed", "reqps", [
            (rate("rabbitmq_global_messages_received_total"), "received"),
            (rate("rabbitmq_global_messages_confirmed_total"), "confirmed"),
            (rate("rabbitmq_global_messages_acknowledged_total"), "acknowledged"),
            (rate("rabbitmq_global_messages_redelivered_total"), "redelivered"),
        ]),
        ("Messages ready, by queue", "short", [
            ('sum by (queue) (rabbitmq_detailed_queue_messages_ready{queue=~"hookfleet\\\\..*"})', "{{queue}}"),
        ]),
        ("Messages in hand, by queue", "short", [
            ('sum by (queue) (rabbitmq_detailed_queue_messages_unacked{queue=~"hookfleet\\\\..*"})', "{{queue}}"),
        ]),
        ("Consumers, by queue", "short", [
            ('sum by (queue) (rabbitmq_detailed_queue_consumers{queue=~"hookfleet\\\\.(events|deliveries)\\\\..*"})', "{{queue}}"),
        ]),
        ("Memory, of what is allowed", "percentunit", [
            ("rabbitmq_process_resident_memory_bytes / rabbitmq_resident_memory_limit_bytes", "{{instance}}"),
        ]),
        ("Disk left, in times of the limit", "short", [
            ("rabbitmq_disk_space_available_bytes / rabbitmq_disk_space_available_limit_bytes", "{{instance}}"),
        ]),
        ("Connections and channels", "short", [
            ("sum(rabbitmq_connections)", "connections"),
            ("sum(rabbitmq_channels)", "channels"),
        ]),
    ]),
]


def variable(name, query):
    return {
        "type": "query", "name": name, "label": name, "multi": True, "includeAll": True,
        "allValue": ".*", "refresh": 2, "datasource": {"uid": "${datasource}"},
        "query": {"query": query, "refId": name}, "current": {"text": "All", "value": "$__all"},
    }


SOURCE = {"type": "datasource", "name": "datasource", "query": "prometheus"}
DASHBOARDS = {
    "fleet": ("Hookfleet", FLEET, []),
    "endpoints": ("Hookfleet: tenants and endpoints", ENDPOINTS, [
        variable("tenant", "label_values(hookfleet_endpoint_attempts_total, tenant)"),
        variable("endpoint", 'label_values(hookfleet_endpoint_attempts_total{tenant=~"$tenant"}, endpoint)'),
    ]),
    "broker": ("Hookfleet: broker and store", BROKER, []),
}


def panel(number, title, unit, lines, at):
    targets = [
        {"refId": chr(65 + n), "expr": expr, "legendFormat": legend or "__auto"}
        for n, (expr, legend) in enumerate(lines)
    ]
    return {
        "id": number, "type": "timeseries", "title": title, "gridPos": at, "targets": targets,
        "datasource": {"type": "prometheus", "uid": "${datasource}"},
        "fieldConfig": {"defaults": {"unit": unit, "min": 0}, "overrides": []},
        "options": {"tooltip": {"mode": "multi", "sort": "desc"}},
    }


def dashboard(name, title, rows, variables):
    panels, y = [], 0
    for heading, row in rows:
        at = {"x": 0, "y": y, "w": 24, "h": 1}
        panels.append({"id": len(panels) + 1, "type": "row", "title": heading, "gridPos": at, "panels": []})
        y += 1
        for n, (title_, unit, lines) in enumerate(row):
            at = {"x": n % 3 * 8, "y": y + n // 3 * 8, "w": 8, "h": 8}
            panels.append(panel(len(panels) + 1, title_, unit, lines, at))
        y += (len(row) + 2) // 3 * 8
    return {
        "uid": f"hookfleet-{name}", "title": title, "tags": ["hookfleet"], "schemaVersion": 39,
        "editable": False, "refresh": "30s", "time": {"from": "now-3h", "to": "now"},
        "templating": {"list": [SOURCE, *variables]}, "panels": panels,
    }


def rule_object():
    head = (
        "# Made from prometheus/rules.yaml by grafana/dashboards.py: edit it there.\n"
        "apiVersion: monitoring.coreos.com/v1\nkind: PrometheusRule\n"
        "metadata:\n  name: hookfleet\nspec:\n"
    )
    rules = RULES.read_text().split("groups:\n", 1)[1]
    return head + "  groups:\n" + "".join(f"  {line}\n" for line in rules.splitlines())


def main():
    files = {RULE_OBJECT: rule_object()}
    for name, parts in DASHBOARDS.items():
        files[HERE / f"{name}.json"] = json.dumps(dashboard(name, *parts), indent=1) + "\n"
    stale = [path for path, text in files.items() if not path.exists() or path.read_text() != text]
    if sys.argv[1:] == ["--check"]:
        for path in stale:
            print(f"dashboards: {path} is not up to date: run deploy/grafana/dashboards.py", file=sys.stderr)
        sys.exit(bool(stale))
    for path in stale:
        path.write_text(files[path])


main()
