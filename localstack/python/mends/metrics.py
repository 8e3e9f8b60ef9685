"""CloudWatch metrics of MiniStack's services, which belong to CloudWatch in moto: those of Lambda, those in the embedded
metric format in logs, and those of metric filters."""

import datetime
import json
import os
import queue
import re
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

from ministack.core.responses import get_region
from ministack.services import cloudwatch, cloudwatch_logs, lambda_svc

# The access key of these calls in the record of calls.
ACCESS_KEY = "emulator"
# The maximum number of metrics in one call.
BATCH = 100

points = queue.SimpleQueue()
sender = threading.Lock()


def put(namespace, name, value, unit, dimensions):
    """Queues a value, and starts the thread that sends them: threads do not survive the fork of a server."""
    points.put((get_region(), namespace, name, float(value), unit or "None", dict(dimensions)))
    if sender.acquire(blocking=False):
        threading.Thread(target=send, daemon=True).start()


def send():
    while True:
        waiting = [points.get()]
        while len(waiting) < BATCH and not points.empty():
            waiting.append(points.get())
        calls = {}
        for region, namespace, *point in waiting:
            calls.setdefault((region, namespace), []).append(point)
        for (region, namespace), data in calls.items():
            post(region, namespace, data)


def post(region, namespace, data):
    form = {"Action": "PutMetricData", "Version": "2010-08-01", "Namespace": namespace}
    for index, (name, value, unit, dimensions) in enumerate(data, 1):
        prefix = f"MetricData.member.{index}"
        form.update({f"{prefix}.MetricName": name, f"{prefix}.Value": value, f"{prefix}.Unit": unit})
        for number, (key, text) in enumerate(dimensions.items(), 1):
            form[f"{prefix}.Dimensions.member.{number}.Name"] = key
            form[f"{prefix}.Dimensions.member.{number}.Value"] = text
    now = datetime.datetime.now(datetime.timezone.utc)
    scope = f"{ACCESS_KEY}/{now:%Y%m%d}/{region}/monitoring/aws4_request"
    headers = {
        "Authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0",
        "X-Amz-Date": f"{now:%Y%m%dT%H%M%SZ}",
    }
    body = urllib.parse.urlencode(form).encode()
    request = urllib.request.Request(os.environ["AWS_ENDPOINT_URL"], body, headers)
    try:
        urllib.request.urlopen(request, timeout=10).close()
    except (OSError, urllib.error.URLError):
        # As in AWS, metrics may be lost.
        pass


def record_metric(namespace, metric_name, value, unit="None", dimensions=None):
    """MiniStack keeps the metrics of its services in a CloudWatch of its own."""
    put(namespace, metric_name, value, unit, dimensions or {})


def embedded(event):
    """The metrics in the embedded metric format: CloudWatch User Guide, Specification: Embedded metric format."""
    for directive in event["_aws"].get("CloudWatchMetrics", []):
        for dimensions in directive.get("Dimensions", [[]]):
            known = {name: str(event[name]) for name in dimensions if name in event}
            for metric in directive.get("Metrics", []):
                values = event.get(metric["Name"])
                for value in values if isinstance(values, list) else [values]:
                    if isinstance(value, (int, float)) and len(known) == len(dimensions):
                        put(directive["Namespace"], metric["Name"], value, metric.get("Unit"), known)


def execute(func, config, event, request_id, started, original=lambda_svc._execute_function_dispatch):
    """MiniStack counts only invocations by Lambda's own API."""
    result = original(func, config, event, request_id, started)
    function = {"FunctionName": config.get("FunctionName", "")}
    failed = isinstance(result, dict) and bool(result.get("error"))
    put("AWS/Lambda", "Invocations", 1, "Count", function)
    put("AWS/Lambda", "Errors", int(failed), "Count", function)
    put("AWS/Lambda", "Duration", (time.time() - started) * 1000, "Milliseconds", function)
    return result


def emit_lambda_metrics(function_name, duration_ms, error, throttle):
    """Those of throttled invocations; the others are those of `execute`."""
    if throttle:
        put("AWS/Lambda", "Throttles", 1, "Count", {"FunctionName": function_name})


CONDITION = re.compile(r"""\(?\s*\$\.([\w.]+)\s*(=|!=|>=|<=|>|<)\s*("[^"]*"|[^\s()]+)\s*\)?""")


def selected(event, path):
    for name in path.split("."):
        event = event.get(name) if isinstance(event, dict) else None
    return event


def holds(event, path, operator, text):
    value = selected(event, path)
    if text.startswith('"'):
        equal = isinstance(value, str) and re.fullmatch(re.escape(text[1:-1]).replace(r"\*", ".*"), value)
        return bool(equal) == (operator == "=")
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    wanted = float(text)
    compared = {"=": value == wanted, "!=": value != wanted, ">": value > wanted, "<": value < wanted}
    return compared.get(operator, value >= wanted if operator == ">=" else value <= wanted)


def matches(pattern, event):
    """Whether an event has the pattern of a filter: conditions on fields of JSON, joined by `||` and `&&`."""
    inner = pattern.strip()
    if not (inner.startswith("{") and inner.endswith("}")):
        return False
    return any(all_hold(choice.split("&&"), event) for choice in inner[1:-1].split("||"))


def all_hold(conditions, event):
    parsed = [CONDITION.fullmatch(condition.strip()) for condition in conditions]
    return all(condition and holds(event, *condition.groups()) for condition in parsed)


def filtered(group, event):
    """The metrics of the metric filters of a log group."""
    for wanted in list(cloudwatch_logs._metric_filters.values()):
        if wanted["logGroupName"] != group or not matches(wanted.get("filterPattern", ""), event):
            continue
        for metric in wanted["metricTransformations"]:
            value = metric["metricValue"]
            if value.startswith("$."):
                value = selected(event, value[2:])
            paths = (metric.get("dimensions") or {}).items()
            dimensions = {name: str(selected(event, path.removeprefix("$."))) for name, path in paths}
            try:
                put(metric["metricNamespace"], metric["metricName"], float(value), metric.get("unit"), dimensions)
            except (TypeError, ValueError):
                # No value, no metric.
                continue


def fan_out(group, stream, events, original=cloudwatch_logs._fanout_to_subscription_filters):
    """MiniStack publishes no metrics from logs."""
    for line in events:
        try:
            event = json.loads(line["message"])
        except ValueError:
            continue
        if isinstance(event, dict):
            if "_aws" in event:
                embedded(event)
            filtered(group, event)
    return original(group, stream, events)


cloudwatch.record_metric = record_metric
lambda_svc._emit_lambda_metrics = emit_lambda_metrics
lambda_svc._execute_function_dispatch = execute
cloudwatch_logs._fanout_to_subscription_filters = fan_out
