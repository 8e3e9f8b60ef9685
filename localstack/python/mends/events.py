"""EventBridge in MiniStack."""

import json

from ministack.core.responses import error_response_json
from ministack.services import eventbridge


def keys(data, name):
    """The rule's key, and the rule or None."""
    key = eventbridge._rule_key(data.get(name), data.get("EventBusName", "default"))
    return key, eventbridge._rules.get(key)


def missing(data, name):
    return error_response_json("ResourceNotFoundException", f"Rule {data.get(name)} does not exist.", 400)


def put_rule(data, original=eventbridge._put_rule):
    """MiniStack keeps what an update omits, and replaces the tags of an existing rule."""
    _, rule = keys(data, "Name")
    if rule is None:
        return original(data)
    whole = {"State": "ENABLED", "Description": "", "RoleArn": "", **data}
    return original({name: value for name, value in whole.items() if name != "Tags"})


def delete_rule(data, original=eventbridge._delete_rule):
    """MiniStack deletes a rule with its targets."""
    key, _ = keys(data, "Name")
    if eventbridge._targets.get(key):
        return error_response_json("ValidationException", "Rule can't be deleted since it has targets.", 400)
    return original(data)


def of_rule(original):
    """In MiniStack, a missing rule has no targets."""

    def replacement(data):
        _, rule = keys(data, "Rule")
        return original(data) if rule else missing(data, "Rule")

    return replacement


PATH = "/_payinfra/schedules"


def fire():
    """Invokes the targets of all enabled rules with a schedule now, and returns their names. MiniStack does so when it is time."""
    names = []
    for key, rule in list(eventbridge._rules._data.items()):
        if rule.get("State") == "ENABLED" and rule.get("ScheduleExpression"):
            eventbridge._rule_last_fired[key] = 0.0
            names.append(rule["Name"])
    eventbridge._tick_scheduled_rules()
    return names


def served(application):
    """The application with a path for the gateway that fires the schedules."""

    async def serving(scope, receive, send):
        if scope["type"] != "http" or scope["path"] != PATH:
            await application(scope, receive, send)
            return
        body = json.dumps(fire()).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return serving


eventbridge._put_rule = put_rule
eventbridge._delete_rule = delete_rule
eventbridge._list_targets_by_rule = of_rule(eventbridge._list_targets_by_rule)
eventbridge._remove_targets = of_rule(eventbridge._remove_targets)
