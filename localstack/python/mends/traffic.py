"""Where the requests of a client go: from a name to load balancers, listeners, rules, target groups and targets.

Sources: Route 53 API reference, AliasTarget and HealthCheckConfig; Developer Guide: How Amazon Route 53 chooses records
when health checking is configured; Application Load Balancer User Guide: Health checks for target groups, Listener
rules.
"""

import json

from moto.elbv2.models import elbv2_backends
from moto.rds.models import rds_backends
from moto.route53.models import route53_backends

from mends.conditions import CONDITIONS
from mends.elbv2 import deregistration_delay, draining, healthy_targets, target_state
from mends.rds import globals_of

# The views since the last request, and the current paths.
PATH, PATHS = "/_payinfra/traffic", "/_payinfra/paths"

# The ends of the names of load balancers, and what clients may put before them.
BALANCERS, DUALSTACK = ".elb.amazonaws.com", "dualstack."


def regions_of(backends, account):
    """The regions that an account has used."""
    return [(region, backend) for region, backend in backends[account].items()]


def known(name):
    return name.rstrip(".").lower().removeprefix(DUALSTACK)


def balancer_of(account, name):
    """The region's backend and the load balancer with a name; its name may belong to none."""
    for _, backend in regions_of(elbv2_backends, account):
        for balancer in backend.load_balancers.values():
            if known(balancer.dns_name) == known(name):
                return backend, balancer
    return None, None


def actions(listener):
    """The default action of a listener and the actions of its rules."""
    rules = [rule.actions for rule in listener._non_default_rules.values()]
    return [action for actions in [listener.default_actions, *rules] for action in actions]


def weighted(action):
    """The target groups, by ARN, that an action forwards to with a weight above 0."""
    groups = action.data.get("ForwardConfig", {}).get("TargetGroups", [])
    weights = {group["TargetGroupArn"]: int(group.get("Weight", 1)) for group in groups}
    return {arn: weight for arn, weight in weights.items() if weight > 0}


def forwards(backend, balancer):
    """The target groups that requests reach, once each."""
    found = {}
    for listener in balancer.listeners.values():
        for action in actions(listener):
            found.update(weighted(action))
    return [backend.target_groups[arn] for arn in found if arn in backend.target_groups]


def dead_end(account, name):
    """Why some requests to a load balancer are not answered by a healthy target, or `None`."""
    backend, balancer = balancer_of(account, name)
    if balancer is None:
        return f"no load balancer has the name {known(name)}"
    if CONDITIONS.is_down(backend.region_name):
        return f"{backend.region_name} is down"
    if not balancer.listeners:
        return f"load balancer {balancer.name} has no listener"
    ports = {str(listener.port) for listener in balancer.listeners.values()}
    for listener in balancer.listeners.values():
        for action in actions(listener):
            where = f"listener {listener.port} of load balancer {balancer.name}"
            if action.type == "redirect":
                port = str(action.data["RedirectConfig"].get("Port", "#{port}")).replace("#{port}", str(listener.port))
                if action.data["RedirectConfig"].get("Host", "#{host}") == "#{host}" and port not in ports:
                    return f"{where} redirects to port {port}, which has no listener"
            if action.type == "forward":
                if not weighted(action):
                    return f"{where} forwards to no target group with a weight"
                for arn in weighted(action):
                    group = backend.target_groups.get(arn)
                    if group is None or not group.targets:
                        return f"{where} forwards to target group {group.name if group else arn}, which has no targets"
                    if not healthy_targets(group):
                        return f"{where} forwards to target group {group.name}, which has no healthy targets"
    return None


def responds(account, name, port):
    """Whether some requests to a port of a load balancer are answered by a healthy target."""
    backend, balancer = balancer_of(account, name)
    if balancer is None or CONDITIONS.is_down(backend.region_name):
        return False
    for listener in balancer.listeners.values():
        if str(listener.port) != str(port):
            continue
        for action in actions(listener):
            groups = [backend.target_groups.get(arn) for arn in weighted(action)]
            if action.type != "forward" or any(group and healthy_targets(group) for group in groups):
                return True
    return False


def evaluates(account, name):
    """The health of a load balancer as an alias record evaluates it.

    Every target group needs a healthy target; one without targets is unhealthy. The reference does not say whether
    that includes groups that get no requests: here, groups with weight 0 do not count.
    """
    backend, balancer = balancer_of(account, name)
    if balancer is None or CONDITIONS.is_down(backend.region_name):
        return False
    return all(healthy_targets(group) for group in forwards(backend, balancer))


def is_true(value):
    return str(value).lower() == "true"


def is_healthy(backend, check):
    """The status of a health check."""
    set_to = CONDITIONS.is_healthy(check.id, check.fqdn)
    if set_to is not None:
        return set_to
    if is_true(check.disabled):
        return True
    healthy = True
    if check.type_ == "CALCULATED":
        children = [backend.health_checks.get(child) for child in check.children or []]
        succeed = sum(is_healthy(backend, child) for child in children if child)
        healthy = succeed >= int(check.health_threshold or 0)
    elif check.fqdn and known(check.fqdn).endswith(BALANCERS):
        healthy = responds(backend.account_id, check.fqdn, check.port)
    # Nothing is known of other endpoints: they respond.
    return healthy != is_true(check.inverted)


def records(account):
    """The records that route requests: aliases, and records with a routing policy."""
    for _, backend in regions_of(route53_backends, account):
        for zone in backend.zones.values():
            for record in zone.rrsets:
                if record.type in ("A", "AAAA") and (record.alias_target or record.set_identifier):
                    yield describe(backend, record)


def describe(backend, record):
    account = backend.account_id
    alias = record.alias_target or {}
    target = alias.get("DNSName", "")
    is_balancer = known(target).endswith(BALANCERS)
    check = backend.health_checks.get(record.health_check_id)
    healthy = check is None or is_healthy(backend, check)
    if is_balancer and is_true(alias["EvaluateTargetHealth"]):
        # With both, both must be healthy.
        healthy = healthy and evaluates(account, target)
    found, balancer = balancer_of(account, target)
    return {
        "name": known(record.name),
        "type": record.type,
        "id": record.set_identifier or "",
        "weight": None if record.weight is None else int(record.weight),
        "failover": record.failover,
        "healthy": healthy,
        "balancer": known(target) if is_balancer else None,
        "region": found.region_name if found else None,
        "ports": sorted(int(listener.port) for listener in balancer.listeners.values()) if balancer else [],
        "dead_end": dead_end(account, target) if is_balancer else None,
    }


def databases(account):
    """The global databases, with the regions of their members."""
    return [
        {
            "name": found.global_cluster_identifier,
            "members": [{"region": member.region, "writer": bool(member.is_writer)} for member in found.members],
        }
        for found in globals_of(rds_backends[account]["us-east-1"]).values()
    ]


def balancers(account):
    """The load balancers, with the target groups to which the default action of each listener forwards."""
    for _, backend in regions_of(elbv2_backends, account):
        for balancer in backend.load_balancers.values():
            listeners = [
                {
                    "port": int(listener.port),
                    "groups": [
                        {"arn": arn, "weight": weight}
                        for action in listener.default_actions
                        for arn, weight in weighted(action).items()
                    ],
                }
                for listener in balancer.listeners.values()
            ]
            yield {"name": known(balancer.dns_name), "listeners": listeners}


def groups(account):
    """The target groups, with their registered and draining targets."""
    for _, backend in regions_of(elbv2_backends, account):
        for group in backend.target_groups.values():
            targets = [
                {
                    "address": target["Id"],
                    "port": int(target["Port"]),
                    "state": target_state(group, target),
                    "task_definition": target.get("Task"),
                }
                for target in [*group.targets.values(), *draining(group).values()]
            ]
            yield {"arn": group.arn, "deregistration_delay": deregistration_delay(group), "targets": targets}


def paths(account):
    """The paths of requests at this moment, for a client that follows them."""
    return {
        "records": list(records(account)),
        "balancers": list(balancers(account)),
        "groups": list(groups(account)),
    }


def view(account):
    return {"records": list(records(account)), "databases": databases(account)}


def served(app, account):
    """The application with paths for the gateway: all of this after each step since the last request, or the paths of requests."""
    views = []

    def observe():
        now = view(account)
        if views[-1:] != [now]:
            views.append(now)

    CONDITIONS.observers.append(observe)

    def requested(path):
        if path == PATHS:
            return paths(account)
        observe()
        seen = views[:]
        views.clear()
        return seen

    def serving(environ, start_response):
        if environ["PATH_INFO"] not in (PATH, PATHS):
            return app(environ, start_response)
        body = json.dumps(requested(environ["PATH_INFO"])).encode()
        start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
        return [body]

    return serving
