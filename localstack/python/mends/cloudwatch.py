"""CloudWatch in moto."""

import operator
import re

from moto.cloudwatch.exceptions import (
    CloudWatchException,
    InvalidParameterValue,
    ResourceNotFound,
    ResourceNotFoundException,
)
from moto.cloudwatch.models import Alarm, CloudWatchBackend, cloudwatch_backends
from moto.cloudwatch.responses import CloudWatchResponse
from moto.core.responses import ActionResult, EmptyResult

from mends import alarm_rules, replaces

# The list of dashboards, which all regions of an account share.
HOME = "us-east-1"


class ResourceConflict(CloudWatchException):
    code = "ResourceConflict"


@replaces(Alarm)
def __init__(original, alarm, **arguments):
    """A new alarm has no data."""
    original(alarm, **arguments)
    alarm.state_value = "INSUFFICIENT_DATA"


@replaces(CloudWatchBackend)
def put_metric_alarm(original, backend, **arguments):
    """Tags are only set on creation, and an update keeps the state."""
    before = backend.alarms.get(arguments["name"])
    alarm = original(backend, **{**arguments, "tags": arguments["tags"] if before is None else None})
    if before is not None:
        for member in ("state_value", "state_reason", "state_reason_data", "state_updated_timestamp", "history"):
            setattr(alarm, member, getattr(before, member))
    evaluate(backend, [alarm] if alarm.rule else [])
    return alarm


@replaces(CloudWatchBackend)
def set_alarm_state(original, backend, **arguments):
    """A composite alarm follows the alarms in its rule."""
    original(backend, **arguments)
    others = [alarm for alarm in backend.alarms.values() if alarm.name != arguments["alarm_name"]]
    evaluate(backend, [alarm for alarm in others if alarm.rule])


COMPARISONS = {
    "GreaterThanOrEqualToThreshold": operator.ge,
    "GreaterThanThreshold": operator.gt,
    "LessThanOrEqualToThreshold": operator.le,
    "LessThanThreshold": operator.lt,
}
# One data point has the same value in all of them.
STATISTICS = ("Average", "Maximum", "Minimum", "Sum")


@replaces(CloudWatchBackend)
def put_metric_data(original, backend, namespace, metric_data):
    """In moto, an alarm keeps its state. An alarm of one period follows the newest data point of its metric."""
    original(backend, namespace=namespace, metric_data=metric_data)
    for datum in (datum for datum in metric_data if datum.get("Value") is not None):
        dimensions = {(it["Name"], it["Value"]) for it in datum.get("Dimensions") or []}
        for alarm in backend.alarms.values():
            watches = (alarm.namespace, alarm.metric_name) == (namespace, datum["MetricName"])
            same = watches and {(it.name, it.value) for it in alarm.dimensions} == dimensions
            compare = COMPARISONS.get(alarm.comparison_operator)
            if same and compare and alarm.statistic in STATISTICS and int(alarm.evaluation_periods) == 1:
                state = "ALARM" if compare(float(datum["Value"]), float(alarm.threshold)) else "OK"
                if state != alarm.state_value:
                    alarm.update_state(f"the newest data point is {datum['Value']}", None, state)
    evaluate(backend, [alarm for alarm in backend.alarms.values() if alarm.rule])


def evaluate(backend, composite):
    """Updates the states of composite alarms, which may depend on each other."""
    by_arn = {alarm.alarm_arn: alarm for alarm in backend.alarms.values()}

    def state_of(name):
        alarm = backend.alarms.get(name) or by_arn.get(name)
        return alarm.state_value if alarm else None

    # A chain of alarms that depend on each other is no longer than their number.
    for _ in composite:
        for alarm in composite:
            state = "ALARM" if alarm_rules.evaluate(alarm.rule, state_of) else "OK"
            if state != alarm.state_value:
                alarm.update_state(f"{alarm.rule} is {'TRUE' if state == 'ALARM' else 'FALSE'}", None, state)


def put_composite_alarm(response):
    """moto does not have this action, although alarms can have rules."""
    try:
        alarm_rules.evaluate(response._get_param("AlarmRule"), lambda _name: None)
    except ValueError as error:
        raise InvalidParameterValue(str(error)) from error
    response.cloudwatch_backend.put_metric_alarm(
        name=response._get_param("AlarmName"),
        namespace=None,
        metric_name=None,
        comparison_operator=None,
        evaluation_periods=None,
        period=None,
        threshold=None,
        statistic=None,
        description=response._get_param("AlarmDescription"),
        dimensions=[],
        alarm_actions=response._get_param("AlarmActions", []),
        ok_actions=response._get_param("OKActions", []),
        insufficient_data_actions=response._get_param("InsufficientDataActions", []),
        actions_enabled=response._get_bool_param("ActionsEnabled"),
        rule=response._get_param("AlarmRule"),
        tags=response._get_param("Tags", []),
    )
    return EmptyResult()


CloudWatchResponse.put_composite_alarm = put_composite_alarm


@replaces(CloudWatchResponse)
def describe_alarms(original, response):
    """Composite alarms are only returned on request."""
    types = response._get_param("AlarmTypes", ["MetricAlarm"])
    answer = original(response).result
    kept = {f"{kind}s": answer[f"{kind}s"] for kind in ("MetricAlarm", "CompositeAlarm") if kind in types}
    return ActionResult({"MetricAlarms": [], "CompositeAlarms": [], **kept})


@replaces(CloudWatchResponse)
def delete_alarms(original, response):
    """Unknown alarms, and alarms in the rule of a composite alarm, cannot be deleted."""
    names, backend = response._get_param("AlarmNames", []), response.cloudwatch_backend
    for name in names:
        if name not in backend.alarms:
            raise ResourceNotFound(f"Alarm {name} does not exist")
    rules = [alarm.rule for alarm in backend.alarms.values() if alarm.rule and alarm.name not in names]
    for name in names:
        if any(name in re.findall(r'[("]([^()"]+)[)"]', rule) for rule in rules):
            raise ResourceConflict(f"Cannot delete {name} as there are composite alarm(s) depending on it")
    arns = [backend.alarms[name].alarm_arn for name in names]
    answer = original(response)
    for arn in arns:
        backend.tagger.delete_all_tags_for_resource(arn)
    return answer


@replaces(CloudWatchBackend)
def list_tags_for_resource(original, backend, arn):
    """Tags of a missing resource are an error."""
    if ":alarm:" in arn and arn not in [alarm.alarm_arn for alarm in backend.alarms.values()]:
        raise ResourceNotFoundException
    return original(backend, arn)


def at_home(name, original):
    """Dashboards belong to the account, not to a region."""

    def replacement(backend, *positional, **named):
        return original(cloudwatch_backends[backend.account_id][HOME], *positional, **named)

    setattr(CloudWatchBackend, name, replacement)


for action in ("put_dashboard", "list_dashboards", "delete_dashboards", "get_dashboard"):
    at_home(action, getattr(CloudWatchBackend, action))
