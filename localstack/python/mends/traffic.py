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
from mends.elbv2 import healthy_targets
from mends.rds import globals_of

PATH = "/_payinfra/traffic"

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
    """The ARNs of the target groups that an action forwards to with a weight above 0."""
    groups = action.data.get("ForwardConfig", {}).get("TargetGroups", [])
    return [group["TargetGroupArn"] for group in groups if int(group.get("Weight", 1)) > 0]


def forwards(backend, balancer):
    """The target groups that requests reach, once each."""
    found = [weighted(action) for listener in balancer.listeners.values() for action in actions(listener)]
    return [backend.target_groups[arn] for arn in dict.fromkeys(sum(found, [])) if arn in backend.target_groups]


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


def view(account):
    return {"records": list(records(account)), "databases": databases(account)}


def served(app, account):
    """The application with a path for the gateway that returns all of this, after each step since the last request."""
    views = []

    def observe():
        now = view(account)
        if views[-1:] != [now]:
            views.append(now)

    CONDITIONS.observers.append(observe)

    def serving(environ, start_response):
        if environ["PATH_INFO"] != PATH:
            return app(environ, start_response)
        observe()
        body = json.dumps(views).encode()
        views.clear()
        start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
        return [body]

    return serving
